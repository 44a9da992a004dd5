"""Language models that answer conversations: a chat endpoint that speaks OpenAI's protocol, or a local `transformers` model.

No game and no prompt lives here. A conversation is a list of {"role": "system" | "user" | "assistant", "content": text}: a
system message, then user and assistant in turn, the user's first and last.
"""

from __future__ import annotations

import functools
import ipaddress
import os
import re
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit

from lmrl_lab.env import unknown

OPENAI = "https://api.openai.com/v1"
ACCEPTED = ("transformers:PATH_OR_HUB_NAME", "chat:MODEL", "chat:MODEL@BASE_URL")
LONGEST_WAIT = 60.0  # seconds between two tries, whatever the server asks for

Conversation = list[dict[str, str]]


class SimulatorError(RuntimeError):
    """The other side of a game, a language model or a chess engine, gave no usable answer: what failed and how often it was
    tried. Never holds a key or a header.

    episodes: where it comes out of `rollout`, the Episodes that were finished by then.
    """

    def __init__(self, message: str = "", episodes: Sequence = ()):
        super().__init__(message)
        self.episodes = list(episodes)


@dataclass
class Usage:
    """What was spent: requests sent (each try counts) and tokens read and written, as far as the server tells."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


@runtime_checkable
class Transport(Protocol):
    """Anything that answers conversations. `spec` names it (see `transport`) and holds no key."""

    spec: str
    usage: Usage

    def complete(self, conversations: Sequence[Conversation]) -> list[str]:
        """One answer a conversation, in order, as the model gave it. Raises SimulatorError."""


def transport(spec: str, **settings) -> Transport:
    """The transport that a spec names, one of ACCEPTED; `settings` go to its constructor. Raises ValueError."""
    if spec.startswith("transformers:") and len(spec) > len("transformers:"):
        return LocalModel(spec.removeprefix("transformers:"), **settings)
    found = _chat(spec)
    if found:
        return ChatEndpoint(found[1], found[2], **settings)
    raise unknown("language model", spec, ACCEPTED)


def full_spec(spec: str) -> str:
    """The spec with the address that "chat:MODEL" leaves to $OPENAI_BASE_URL. ValueError: as `ChatEndpoint`."""
    found = _chat(spec)
    return f"chat:{found[1]}@{_address(found[2])}" if found else spec


def _chat(spec: str) -> re.Match | None:
    return re.fullmatch(r"chat:(.+?)(?:@(https?://.+))?", spec)  # a model's own name may hold ":" and "@"


def spoken(turns: Sequence[dict[str, str]]) -> str:
    """A conversation as plain lines, a line a turn: the model's own begin with "You:", the others' with "Them:"."""
    return "\n".join(("You: " if turn["role"] == "assistant" else "Them: ") + turn["content"] for turn in turns)


def clean(text: str) -> str:
    """What a model said without the thoughts that some write first, between <think> and </think>."""
    return re.sub(r"<think>.*?(</think>|$)", "", text, flags=re.DOTALL).strip()


# ---------------------------------------------------------------------------------------------- a chat endpoint

class ChatEndpoint:
    """A model behind OpenAI's chat protocol, asked through the `openai` package.

    base_url: where the server is, such as "http://localhost:8000/v1"; without it $OPENAI_BASE_URL, else OpenAI's own. The
    key is read from $OPENAI_API_KEY at each call and shown nowhere; a server on this machine needs none. timeout: seconds
    without a byte. A refused connection, a time-out, an answer that broke off on its way, makes no sense or has no text
    outside <think>, and the statuses 408, 409, 429 and 5xx are tried again up to `retries` times, after `backoff` seconds,
    then twice as long, and so on, or after what the server asks for. concurrency: conversations asked at once. temperature,
    max_tokens: as the protocol has them, None leaves them out (models that reason refuse both); a text that max_tokens ended
    counts as far as it goes. `extra`: further fields, such as {"max_completion_tokens": 500}. Raises SimulatorError without
    the package or a key that can be sent, ValueError for a base_url that holds a name, password or query.
    """

    def __init__(self, model: str, base_url: str | None = None, temperature: float | None = 0.0, max_tokens: int | None = 60,
                 timeout: float = 30.0, retries: int = 3, concurrency: int = 8, backoff: float = 1.0,
                 extra: Mapping[str, object] | None = None):
        self.model, self.base_url = model, _address(base_url)
        self.timeout, self.retries, self.concurrency, self.backoff = timeout, retries, concurrency, backoff
        fields = {"temperature": temperature, "max_tokens": max_tokens, **(extra or {})}
        self.settings = {name: value for name, value in fields.items() if value is not None}
        self.usage, self._lock, self._made = Usage(), threading.Lock(), None
        self._client()  # a missing package or key is said here, not after the first games

    @property
    def spec(self) -> str:
        return f"chat:{self.model}" + ("" if self.base_url == OPENAI else f"@{self.base_url}")

    def __repr__(self) -> str:
        return f"ChatEndpoint({self.spec!r})"

    def complete(self, conversations: Sequence[Conversation]) -> list[str]:
        """One answer a conversation; they are asked side by side, and the first that fails ends them all."""
        client, stop = self._client(), threading.Event()
        with ThreadPoolExecutor(max(1, min(self.concurrency, len(conversations)))) as pool:
            try:
                return list(pool.map(lambda conversation: self._ask(client, conversation, stop), conversations))
            finally:
                stop.set()

    def _client(self):
        try:
            import openai
        except ImportError:
            openai = None
        key = os.environ.get("OPENAI_API_KEY", "").strip()
        if openai is None:  # raised out of the except clause, so that no other error hangs on this one
            raise SimulatorError("a chat endpoint needs the package `openai`: pip install 'lmrl-lab[chat]'")
        if not key and not _on_this_machine(self.base_url):
            raise SimulatorError(f"no key for {self.base_url}: put it into the environment variable OPENAI_API_KEY")
        if not (key.isascii() and key.isprintable()):
            raise SimulatorError("OPENAI_API_KEY holds a character that no key has, such as a curly quote or a line's end")
        if self._made is None or self._made.api_key != (key or "not needed"):
            self._made = openai.OpenAI(api_key=key or "not needed", base_url=self.base_url, timeout=self.timeout, max_retries=0)
        return self._made

    def _ask(self, client, conversation: Conversation, stop: threading.Event) -> str:
        problem, tries = "", 0
        while not stop.is_set() and tries <= self.retries:
            text, problem, wait = self._try(client, conversation)
            tries += 1
            if text is not None:
                return text
            if wait is None:
                break
            if tries <= self.retries:
                stop.wait(min(max(wait, self.backoff * 2 ** (tries - 1)), LONGEST_WAIT))
        if stop.is_set():
            return ""  # another conversation has failed: nobody will read this
        stop.set()
        raise SimulatorError(f"{self.spec}: {problem} (tried {'once' if tries == 1 else f'{tries} times'})")

    def _try(self, client, conversation: Conversation) -> tuple[str | None, str, float | None]:
        """(answer, "", None), or (None, what went wrong, least seconds before another try or None where that is no use)."""
        import openai
        with self._lock:
            self.usage.requests += 1
        try:
            answer = client.chat.completions.create(model=self.model, messages=conversation, extra_body=self.settings)
        except openai.APITimeoutError:
            return None, f"no answer within {self.timeout:g} s", 0.0
        except openai.APIConnectionError as error:
            return None, f"no connection, or it broke off ({type(error.__cause__).__name__})", 0.0
        except openai.APIStatusError as error:
            again = error.status_code in (408, 409, 429) or error.status_code >= 500
            return None, self._refusal(client, error), _seconds(error.response.headers.get("retry-after")) if again else None
        except UnicodeError:  # its text would show the character and what stands around it
            return None, "a text in the conversation holds half a character (a lone surrogate), which cannot be sent", None
        except (openai.OpenAIError, ValueError):
            return None, "the answer is not JSON, or not a whole one", 0.0
        except Exception as error:  # its text may hold a header, so only its kind is told
            return None, f"the request could not be sent ({type(error).__name__})", None
        with self._lock:  # an answer without text costs tokens too
            for name in ("prompt_tokens", "completion_tokens"):
                spent = getattr(getattr(answer, "usage", None), name, None)
                setattr(self.usage, name, getattr(self.usage, name) + (spent if isinstance(spent, int) else 0))
        try:
            choice = answer.choices[0]
            text = choice.message.content
        except (AttributeError, TypeError, IndexError, KeyError):
            return None, "the answer is no chat completion: it has no choices with a message", 0.0
        if not isinstance(text, str) or not clean(text):
            where = " outside <think>" if "<think>" in str(text) else ""
            return None, f"the answer has no text{where} (finish_reason: {getattr(choice, 'finish_reason', None)})", 0.0
        return text, "", None

    @staticmethod
    def _refusal(client, error) -> str:
        """The status, and the server's words where they cannot be about the key."""
        said = error.body.get("message", "") if isinstance(error.body, dict) else ""
        if error.status_code in (401, 403) or not said:
            said = "is OPENAI_API_KEY right?" if error.status_code in (401, 403) else ""
        said = " ".join(str(said).replace(client.api_key, "***").split())[:200]
        return f"the server answered {error.status_code}" + (f": {said}" if said else "")


def _address(base_url: str | None) -> str:
    return _checked(base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI)


def _checked(url: str) -> str:
    """The address without a last slash. What might be a secret in it must not come into transcripts and messages."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("a base_url is http(s)://HOST[:PORT]/PATH without a name, a password or a query; "
                         "a key belongs into the environment variable OPENAI_API_KEY")
    return url.rstrip("/")


def _on_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _seconds(header: str | None) -> float:
    """A Retry-After header in seconds; 0 where there is none, or where it names a date."""
    return float(header) if header and re.fullmatch(r"\d+(\.\d+)?", header) else 0.0


# ---------------------------------------------------------------------------------------------- a local model

class LocalModel:
    """A `transformers` model on this machine, encoder-decoder or causal; it is loaded when it is first asked.

    name_or_path: a folder, or a name on the hub (not asked with `local_files_only`). device: "cuda" where there is one, else
    "cpu"; dtype: as saved. batch: conversations side by side. temperature: 0 takes the likeliest token; above it, draws are
    the same for the same seed and the same calls (other conversations in a call change them). A tokenizer's chat template is
    used where it has one, else the conversation is written out in plain lines. Where a conversation is too long its oldest
    turns are left out, never the system message. A text that `max_new_tokens` ended counts as far as it goes. Raises
    SimulatorError (at the first call) for a model that cannot be loaded or fails.
    """

    def __init__(self, name_or_path: str | os.PathLike, device: str | None = None, dtype: str = "auto", max_new_tokens: int = 40,
                 batch: int = 16, temperature: float = 0.0, seed: int = 0, local_files_only: bool = False):
        self.name, self.device, self.dtype, self.max_new_tokens = os.fspath(name_or_path), device, dtype, max_new_tokens
        self.batch, self.temperature, self.seed, self.local_files_only = batch, temperature, seed, local_files_only
        self.spec, self.usage = f"transformers:{self.name}", Usage()
        self.settings = {"dtype": dtype, "max_new_tokens": max_new_tokens, "temperature": temperature, "seed": seed}

    def __repr__(self) -> str:
        return f"LocalModel({self.name!r})"

    def complete(self, conversations: Sequence[Conversation]) -> list[str]:
        """One answer a conversation, without special tokens."""
        texts: list[str] = []
        for begin in range(0, len(conversations), self.batch):
            rows = [self._ids(conversation) for conversation in conversations[begin:begin + self.batch]]
            try:
                texts += self._generated(rows)
            except RuntimeError as error:  # out of memory, above all
                raise SimulatorError(f"{self.spec} failed: {str(error).splitlines()[0]}") from None
        return texts

    @functools.cached_property
    def _loaded(self):
        """(tokenizer, model)."""
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer
        device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
        where = {"local_files_only": self.local_files_only}
        try:
            config = AutoConfig.from_pretrained(self.name, **where)
            kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
            tokenizer = AutoTokenizer.from_pretrained(self.name, **where)
            model = kind.from_pretrained(self.name, dtype=self.dtype, **where).to(device).eval()
        except Exception as error:  # what a broken folder raises differs from file to file
            raise SimulatorError(f"the model '{self.name}' could not be loaded: {str(error).splitlines()[0]:.300}") from None
        if not self.temperature:  # what a model's folder says about drawing means nothing here, and would only be warned of
            model.generation_config.update(temperature=None, top_p=None, top_k=None)
        return tokenizer, model

    def _ids(self, conversation: Conversation) -> list[int]:
        """Token ids of a conversation, as many of its last turns as fit."""
        tokenizer, model = self._loaded
        limits = [getattr(model.config, "max_position_embeddings", None), tokenizer.model_max_length]
        room = min((limit for limit in limits if limit), default=10**9)  # a tokenizer without a limit gives a huge one
        room -= 0 if model.config.is_encoder_decoder else self.max_new_tokens
        system, *turns = conversation
        while True:
            ids = self._encoded([system, *turns])
            if len(ids) <= room:
                return ids
            if len(turns) <= 2:
                raise SimulatorError(f"{self.spec} has room for {room} tokens, and its instruction with one turn has {len(ids)}")
            turns = turns[2:]  # a user's and an assistant's

    def _encoded(self, conversation: Conversation) -> list[int]:
        tokenizer, _ = self._loaded
        system, first, *rest = conversation
        if not tokenizer.chat_template:
            return tokenizer(f"{system['content']}\n\n{spoken([first, *rest])}\nYou:").input_ids
        from jinja2 import TemplateError
        as_ids = functools.partial(tokenizer.apply_chat_template, add_generation_prompt=True, tokenize=True, return_dict=False,
                                   enable_thinking=False)
        try:
            return as_ids(conversation)
        except TemplateError:  # some templates know no system message: the user says it
            return as_ids([{"role": "user", "content": f"{system['content']}\n\n{first['content']}"}, *rest])

    def _generated(self, rows: list[list[int]]) -> list[str]:
        import torch
        tokenizer, model = self._loaded
        both_ways = model.config.is_encoder_decoder  # an encoder reads from the left; a causal model goes on at the right end
        pad = next((i for i in (tokenizer.pad_token_id, tokenizer.eos_token_id) if i is not None), 0)
        width = max(map(len, rows))
        ids, mask = torch.full((len(rows), width), pad), torch.zeros((len(rows), width), dtype=torch.long)
        for i, row in enumerate(rows):
            place = slice(0, len(row)) if both_ways else slice(width - len(row), width)
            ids[i, place], mask[i, place] = torch.tensor(row), 1
        drawing = {"do_sample": True, "temperature": self.temperature} if self.temperature else {"do_sample": False}
        with torch.inference_mode(), torch.random.fork_rng():
            torch.manual_seed(self.seed + self.usage.requests)
            out = model.generate(input_ids=ids.to(model.device), attention_mask=mask.to(model.device), num_beams=1,
                                 max_new_tokens=self.max_new_tokens, pad_token_id=pad, **drawing)
        new = out if both_ways else out[:, width:]
        self.usage.requests += len(rows)
        self.usage.prompt_tokens += int(mask.sum())
        self.usage.completion_tokens += int((new != pad).sum())
        return tokenizer.batch_decode(new, skip_special_tokens=True)
