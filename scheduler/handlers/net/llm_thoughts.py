"""Separates the answer of a language model from its thoughts where both come as one text."""

import re

_NAMES = (
    r"(?:\w{1,20}:)?(?:ant)?think(?:ing)?|thoughts?|reason(?:ing)?|reflection|analysis|scratchpad"
    r"|(?:inner|internal)_monologue"
)
_EMPTY = rf"<(?:{_NAMES})\s*/>"
_BEGIN = (
    rf"(?:<|&lt;)(?:{_NAMES})(?:\s[^<>]*)?(?:>|&gt;)|\[think\]|◁think▷|<unused94>"
    r"|<\|(?:begin_of_thought|start_thinking|think(?:ing)?)\|>|<\|channel>thought"
)
_END = (
    rf"(?:<|&lt;)/\s*(?:{_NAMES})\s*(?:>|&gt;)|\[/think\]|◁/think▷|<unused95>"
    r"|<\|(?:end_(?:of_thought|thinking)|/think(?:ing)?)\|>|<channel\|>"
)
_FOLDED = r"<details\s[^<>]*type=[\"']?reasoning\b.*?</details>|```(?:think|thinking|reasoning)\n.*?\n```"
_BLOCK = re.compile(rf"{_EMPTY}|{_FOLDED}|(?:{_BEGIN}).*?(?:{_END}|\Z)", re.DOTALL | re.IGNORECASE)
# Marks of a chat template around the answer, which a server should have taken away.
_FRAME = re.compile(
    r"\A\s*(?:<\|im_start\|>(?:assistant\b)?|<\|(?:begin_of_solution|start_response)\|>)"
    r"|(?:\s*(?:<\|(?:im_end|eot_id|eom_id|endoftext|end_of_text|end|return|end_of_solution|end_response)\|>"
    r"|</s>|<end_of_turn>|<eos>))+\s*\Z",
    re.IGNORECASE,
)
_WRAPPED = re.compile(r"\s*<(answer|response|final_answer)>(.*)</\1>\s*", re.DOTALL | re.IGNORECASE)
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
    text = _FRAME.sub("", text[ended.end() if ended else 0 :])
    wrapped = _WRAPPED.fullmatch(text)
    return (wrapped[2] if wrapped else text).strip()
