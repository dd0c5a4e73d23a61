"""In which words services refuse, and until when: from headers, texts, and whole answers over HTTP."""
