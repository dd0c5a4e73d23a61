"""Separates the answer of a language model from its thoughts where both come as one text."""

import re

_NAMES = r"(?:seed:)?think(?:ing)?|thoughts?|reason(?:ing)?|reflection|analysis|scratchpad"
_EMPTY = rf"<(?:{_NAMES})\s*/>"
_BEGIN = (
    rf"<(?:{_NAMES})(?:\s[^<>]*)?>|\[think\]|◁think▷"
    r"|<\|(?:begin_of_thought|start_thinking)\|>|<\|channel>thought"
)
_END = rf"</\s*(?:{_NAMES})\s*>|\[/think\]|◁/think▷|<\|end_(?:of_thought|thinking)\|>|<channel\|>"
_BLOCK = re.compile(rf"{_EMPTY}|(?:{_BEGIN}).*?(?:{_END}|\Z)", re.DOTALL | re.IGNORECASE)
# A chat template may put the opening mark into the prompt, so that the answer has only the closing one.
_LAST_END = re.compile(rf".*(?:{_END})", re.DOTALL | re.IGNORECASE)
# The channels of gpt-oss: analysis and commentary are thoughts, final is the answer.
_FINAL = re.compile(r"<\|channel\|>\s*final\b.{0,100}?<\|message\|>(.*?)(?=<\|\w+\|>|\Z)", re.DOTALL)


def without_thoughts(text: str) -> str:
    """The answer alone; "" if there are only thoughts."""
    if "<|channel|>" in text:
        return "".join(_FINAL.findall(text)).strip()
    if text.lstrip().startswith(("analysis", "commentary")):  # a server dropped the marks, not their words
        text = text.rpartition("assistantfinal")[2]
    text = _BLOCK.sub("", text)
    ended = _LAST_END.match(text)
    return text[ended.end() if ended else 0 :].strip()
