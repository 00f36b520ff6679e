"""How text becomes ids: single characters for tiny models, a chat template for real ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prowess.core.errors import UserError
from prowess.core.model import Message

_PRINTABLE = "".join(chr(c) for c in range(32, 127)) + "\n"


class Characters:
    """One token for each printable ASCII character and the line feed, one for padding, one for the end."""

    size = len(_PRINTABLE) + 2
    end = 1

    def __init__(self) -> None:
        self._ids = {char: i + 2 for i, char in enumerate(_PRINTABLE)}

    def encode(self, text: str) -> list[int]:
        """Raises `UserError` for a character that has no token."""
        try:
            return [self._ids[char] for char in text]
        except KeyError as error:
            raise UserError(f"no token for {error.args[0]!r} in {text[:60]!r}", "use printable ASCII") from None

    def prompt(self, text: str) -> list[int]:
        return self.encode(text)

    def conversation(self, messages: Sequence[Message]) -> list[int]:
        return self.encode("\n".join(m.content for m in messages))

    def reply(self, text: str) -> list[int]:
        return self.encode(text)

    def answer(self, text: str) -> list[int]:
        return [*self.encode(text), self.end]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(_PRINTABLE[i - 2] for i in ids if i > 1)


class Chat:
    """A tokenizer of the Transformers library with its chat template.

    The template is filled in with one message at a time and never sees a completion again, so that ids sampled are ids
    trained. Text between turns is what the template puts around a user's message; a template that rewrites earlier
    turns (some drop old reasoning) would do otherwise at serving time, and is refused.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        if not getattr(tokenizer, "chat_template", None):
            raise UserError("the tokenizer has no chat template", "take an instruction-tuned model")
        asked = [{"role": "user", "content": "@"}]
        first = self._filled(asked)
        again = self._filled([*asked, {"role": "assistant", "content": "#"}, {"role": "user", "content": "%"}])
        if not again.startswith(first) or "#" not in again or "%" not in again:
            raise UserError("the chat template rewrites earlier turns", "use single-turn recipes, or another template")
        said = again[len(first) :]
        after = said[said.index("#") + 1 :]
        self._glue = after[: after.index("%")], after[after.index("%") + 1 :]
        ends = self._encode(self._glue[0])
        self.end = int(ends[0] if ends else tokenizer.eos_token_id)
        self._between = ends[1:]

    def prompt(self, text: str) -> list[int]:
        return self._encode(self._filled([{"role": "user", "content": text}]))

    def conversation(self, messages: Sequence[Message]) -> list[int]:
        return self._encode(self._filled([{"role": m.role, "content": m.content} for m in messages]))

    def reply(self, text: str) -> list[int]:
        return [*self._between, *self._encode(text + self._glue[1])]

    def answer(self, text: str) -> list[int]:
        return [*self._encode(text), self.end]

    def decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode([i for i in ids if i != self.end], skip_special_tokens=True)

    def save(self, folder: Path) -> None:
        """Write the tokenizer and its template into a folder."""
        self._tokenizer.save_pretrained(folder)

    def _filled(self, messages: list[dict[str, str]]) -> str:
        return self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)

    def _encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False)
