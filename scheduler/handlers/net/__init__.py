"""Code that several built-in tasks share: HTTP, URLs, language models, JSON lines."""
