"""Behaviour data: generate it (seeded), keep it in a cache that notices damage, filter and split it, read published files.

Nothing here trains; the games themselves come from the task's card.
"""

from __future__ import annotations

import hashlib
import inspect
import itertools
import json
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from lmrl_lab.env import TASKS, make, unknown
from lmrl_lab.episode import Episode, EpisodeFileError, Turn, read_episodes, read_json_lines, write_episodes
from lmrl_lab.files import cache_dir, file_hash, write_atomically


def generate(task: str, size: int | None = None, seed: int = 0, cache: bool = True, **kwargs) -> list[Episode]:
    """The task's behaviour data: `size` Episodes (the card's own number if None), the same for the same seed.

    `kwargs` go to the card's generator (and change the game). With `cache`, the file is written once and read back
    after its manifest (task, size, seed, code and content hash) has been checked; a cut, edited or outdated file is
    made again. Raises ValueError for an unknown task or keyword.
    """
    card = TASKS[task]
    size = card.data_size if size is None else size
    if not isinstance(size, int) or size < 1:
        raise ValueError(f"size is a number of episodes, at least 1, not {size!r}")
    accepted = [name for name in inspect.signature(card.behaviour).parameters if name not in ("size", "seed")]
    for name in kwargs:
        if name not in accepted:
            raise unknown(f"keyword of {task}'s data", name, accepted)
    code = _code_hash(card)
    if not cache or code is None:
        return _made(card, size, seed, kwargs)
    config = {"task": task, "size": size, "seed": seed, "keywords": kwargs, "code": code}
    key = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:12]
    path = cache_dir() / f"{task}-{size}-{seed}-{key}.jsonl.gz"
    manifest = path.with_name(path.name.removesuffix(".jsonl.gz") + ".json")
    try:
        if json.loads(manifest.read_text()) == {"config": config, "sha256": file_hash(path)}:
            return read_episodes(path, task)
        print(f"the cached data {path.name} was changed or cut: making it again", file=sys.stderr)
    except FileNotFoundError:
        pass
    except (ValueError, OSError) as error:
        print(f"the cached data {path.name} cannot be read ({error}): making it again", file=sys.stderr)
    episodes = _made(card, size, seed, kwargs)
    try:
        write_episodes(path, episodes)
        write_atomically(manifest, json.dumps({"config": config, "sha256": file_hash(path)}, indent=1))
    except OSError as error:
        print(f"the data could not be cached ({error}); going on without", file=sys.stderr)
    return episodes


def _made(card, size: int, seed: int, kwargs: dict) -> list[Episode]:
    episodes = list(card.behaviour(size, seed, **kwargs))
    kwargs = {name: value for name, value in kwargs.items() if name in inspect.signature(card.env).parameters}
    for episode in episodes:
        episode.seed = seed if episode.seed is None else episode.seed
        if kwargs:
            episode.info["keywords"] = kwargs
    return episodes


def _code_hash(card) -> str | None:
    """Data belongs to the code that made it: a hash of the generator's module and of all tasks' code and tables in the package.

    None for a generator that was typed into a notebook: it has no file, and its data is not cached.
    """
    module = inspect.getmodule(getattr(card.behaviour, "func", card.behaviour))
    if getattr(module, "__file__", None) is None:
        return None
    package = Path(__file__).parent
    files = {Path(module.__file__), *(package / f"{name}.py" for name in ("episode", "env", "policies")),
             *package.glob("tasks/*.py"), *package.glob("tasks/assets/*")}
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(files))).hexdigest()[:12]


def keep_best(episodes: list[Episode], keep: str | float) -> list[Episode]:
    """The part of the data that filtered BC imitates: "success", or the fraction with the highest returns.

    At a fraction, ties at the border are kept in the order of the data. Raises ValueError if nothing is left.
    """
    if keep == "success":
        kept = [episode for episode in episodes if episode.success]
    elif isinstance(keep, (int, float)) and 0 < keep <= 1:
        order = sorted(range(len(episodes)), key=lambda i: -episodes[i].total_return)
        chosen = set(order[:max(1, round(keep * len(episodes)))]) if episodes else set()
        kept = [episode for i, episode in enumerate(episodes) if i in chosen]
    else:
        raise ValueError(f"keep is 'success' or a fraction above 0 and up to 1, not {keep!r}")
    if not kept:
        raise ValueError(f"no episode of {len(episodes)} is left after keeping {keep!r}")
    return kept


def examples(task: str, number: int, seed: int = 0, among: int = 500) -> list[Episode]:
    """Games to show a language model: the `number` best of `among` games of the behaviour data, ties in the data's order."""
    if not 0 <= number <= among:
        raise ValueError(f"the number of examples is from 0 to {among}, not {number!r}")
    if not number:
        return []
    return sorted(generate(task, min(among, TASKS[task].data_size), seed), key=lambda episode: -episode.total_return)[:number]


def split(episodes: list[Episode], fraction: float = 0.1, seed: int = 0) -> tuple[list[Episode], list[Episode]]:
    """(training, validation): `fraction` of the episodes, drawn with `seed`, are held out; whole episodes only."""
    if not 0 <= fraction < 1:
        raise ValueError(f"fraction is the part held out, from 0 to below 1, not {fraction}")
    held = set(np.random.default_rng(seed).permutation(len(episodes))[:round(fraction * len(episodes))].tolist())
    return ([e for i, e in enumerate(episodes) if i not in held], [e for i, e in enumerate(episodes) if i in held])


def replay_problem(episode: Episode, whole: bool = False, **kwargs) -> str | None:
    """Play the actions again in the game; what differs from the record, or None if the episode is genuine.

    Compared are all observations, rewards and flags, and success and the count of invalid actions where the record has them.
    whole: the record must also be a game that was played to its end, with all of these and the answer to the last action; else
    it may have been cut by whoever recorded it. kwargs: of `make`, in place of the record's own.

    Where a language model spoke for the partner, or a program with a path of its own played the other side, nothing is
    played: an episode from elsewhere must not start anything, nor send anything to the endpoint that it names.
    """
    keywords = {**episode.info.get("keywords", {}), **kwargs}
    model, opponent = keywords.get("simulator", "scripted"), episode.info.get("keywords", {}).get("opponent", "auto")
    if model != "scripted":
        return f"a language model spoke in this game ({model}), so it cannot be played again"
    if "opponent" not in kwargs and not str(opponent).replace("-", "").isalnum():
        return f"the other side was a program of its own ({opponent}), which a record cannot start"
    env = make(episode.task, **keywords)
    try:
        return _first_difference(episode, env, whole)
    finally:
        env.close()


def _first_difference(episode: Episode, env, whole: bool) -> str | None:
    against = getattr(env, "opponent", None)
    if against and episode.info.get("opponent", against) != against:
        return f"it was played against '{episode.info['opponent']}', and here '{against}' plays: name one, opponent=\"built-in\""
    if whole and type(episode.seed) is not int:
        return f"a game has a whole number as its seed, not {episode.seed!r:.40}"
    text, _ = env.reset(seed=episode.seed, options=episode.info.get("options"))
    if text != episode.turns[0].text:
        return f"the first observation is {text!r}, not {episode.turns[0].text!r}"
    over, invalid = False, 0
    for k in range(1, len(episode.turns), 2):
        if over:
            return f"the game was over before turn {k}"
        action = episode.turns[k]
        text, reward, terminated, truncated, info = env.step(action.text)
        over, invalid = terminated or truncated, invalid + info["invalid"]
        if reward != action.reward:
            return f"turn {k}, {action.text!r}: the reward is {reward:g}, not {action.reward:g}"
        if k + 1 < len(episode.turns) and text != episode.turns[k + 1].text:
            return f"turn {k}, {action.text!r}: the answer is {text!r}, not {episode.turns[k + 1].text!r}"
    if any(turn.reward for turn in episode.turns[::2]):
        return "an observation has a reward, which only actions have"
    if whole and (not over or len(episode.turns) % 2 == 0):
        return "the game is not over" if not over else "the answer to the last action is missing"
    found = {"terminated": terminated, "truncated": truncated and not terminated, "success": info["success"], "invalid": invalid}
    said = {"success": None, "invalid": None, **episode.info, "terminated": episode.terminated, "truncated": episode.truncated}
    for name, value in found.items():
        cut = name == "truncated" and not over  # by whoever recorded it
        if said[name] != value and not cut and (whole or said[name] is not None):
            return f"{name} is {value}, not {said[name]}"
    return None


# ---------------------------------------------------------------------------------------------- published files

def load_published(path: str | os.PathLike, task: str) -> list[Episode]:
    """Read a published LMRL-Gym file into Episodes.

    Four layouts are known. A game a line: a list of `{state, action, reward, done}` steps (or one object with lists under
    these names); `{text_history, rewards, dones}` with observations and actions in turn; `{sequence, reward, done}` with
    (text, is_action) pairs (Wordle). A step a line: `{from_state, action, reward, done}` (chess), where a game ends at a
    `done`, at an empty line and at the end of the file; its boards and moves are spelled with spaces as the game does. A
    final observation that the file lacks is given as an empty line. Raises EpisodeFileError that names file and line.

    The three dialogues have conversations: `{lines, correct, word}` (see `_asked`) or `{buyer_info, lines, output}` (see
    `_sold`), in one JSON list, in an object of lists (one a tone of the buyer's), or one a line. What the record says was
    hidden stands in `info["hidden"]`. These layouts follow the published description of the files and the code that reads
    them; no reader here has met a real file.
    """
    TASKS[task]  # an unknown task is an error before the file is read
    if task in CONVERSATIONS:
        return list(_conversations(path, task))
    episodes, steps, number = [], [], 0

    def add(record) -> None:
        try:
            episodes.append(_published_episode(record, task))
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise EpisodeFileError(f"{path}, line {number}: not a published episode ({error!r})") from None

    for number, record in read_json_lines(path, empty_lines=True):  # noqa: B007  (an error names the line)
        one_step = isinstance(record, dict) and "from_state" in record
        if one_step:
            steps.append(record)
        if steps and (not one_step or record.get("done")):
            add(steps)
            steps = []
        if record is not None and not one_step:
            add(record)
    if steps:
        add(steps)
    return episodes


def _published_episode(record, task: str) -> Episode:
    """An Episode from one of the layouts; `states` are the observations, with or without the one after the last action."""
    if isinstance(record, dict) and ("text_history" in record or "sequence" in record):
        if "sequence" in record:
            texts, kinds = zip(*record["sequence"], strict=True)
            if any(bool(kind) != (i % 2 == 1) for i, kind in enumerate(kinds)):
                raise ValueError("observations and actions do not alternate")
            rewards, dones = record["reward"], record["done"]
            if len(rewards) == len(texts) - 1:  # the first text has none
                rewards = [0.0, *rewards]
        else:
            texts, rewards, dones = record["text_history"], record["rewards"], record["dones"]
        states, actions = texts[0::2], texts[1::2]
        if len(rewards) == len(texts):  # one reward a text: observations carry 0
            rewards, dones = rewards[1::2], dones[1::2] if isinstance(dones, list) else dones
    else:
        if isinstance(record, dict):
            names = ("state", "action", "reward", "done")
            record = [dict(zip(names, step, strict=True)) for step in zip(*(record[n] for n in names), strict=True)]
        if "from_state" in record[0]:
            states, actions = ([_with_spaces(step[name]) for step in record] for name in ("from_state", "action"))
        else:
            states, actions = [step["state"] for step in record], [step["action"] for step in record]
        rewards, dones = [step["reward"] for step in record], [step["done"] for step in record]
    done, missing = bool(dones[-1] if isinstance(dones, list) else dones), len(states) == len(actions)
    if not actions or len(rewards) != len(actions) or not 0 <= len(states) - len(actions) <= 1:
        raise ValueError(f"{len(states)} observations, {len(actions)} actions and {len(rewards)} rewards do not fit")
    turns = []
    for state, action, reward in zip(states, actions, rewards, strict=False):
        turns += [Turn(_line(state), False), Turn(action.rstrip("\n"), True, float(reward))]
    if not missing or not done:
        turns.append(Turn("\n" if missing else _line(states[-1]), False))
    success = done and float(rewards[-1]) == (1 if task.startswith("chess") else 0)
    return Episode(task, turns, terminated=done, truncated=not done, policy="published",
                   info={"success": success, "invalid": 0})


def _with_spaces(text: str) -> str:
    """"Nf3" -> "N f 3"; what has spaces between all its characters already is kept."""
    spelled = text.rstrip("\n")
    return spelled if all(ch == " " for ch in spelled[1::2]) else " ".join(spelled)


def _line(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


CONVERSATIONS = ("twenty-questions", "guess-my-city", "car-dealer")


def _conversations(path: str | os.PathLike, task: str) -> Iterable[Episode]:
    """Episodes of a file that is one JSON list of conversations, an object with such lists (the Car Dealer's, a list a tone),
    or a conversation a line. An error names the line, or in a file that is one JSON value the number of the conversation."""
    whole = _one_json_value(path)
    if whole is None:
        records = ((f"line {number}", record) for number, record in read_json_lines(path))
    else:
        if isinstance(whole, dict):
            whole = [whole] if "lines" in whole else itertools.chain(*whole.values())
        records = ((f"conversation {n}", record) for n, record in enumerate(whole, start=1))
    for where, record in records:
        try:
            yield (_sold if task == "car-dealer" else _asked)(record, task)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise EpisodeFileError(f"{path}, {where}: not a published conversation ({error!r})") from None


def _one_json_value(path: str | os.PathLike) -> list | dict | None:
    """A file that is one list or object; None for a file with a JSON value a line. Raises EpisodeFileError."""
    path = Path(path)
    if path.suffix == ".gz":
        return None
    try:
        text = path.read_text(encoding="utf-8")
        whole = json.loads(text)
    except UnicodeDecodeError as error:
        raise EpisodeFileError(f"{path}: not text ({error})") from None
    except json.JSONDecodeError as error:
        if re.match(r"\{.*\}\s*\n", text):
            return None
        raise EpisodeFileError(f"{path}, line {error.lineno}: not JSON ({error.msg})") from None
    lists = isinstance(whole, list) or isinstance(whole, dict) and (
        "lines" in whole or all(isinstance(part, list) for part in whole.values()))
    if not lists:
        raise EpisodeFileError(f"{path}, line 1: neither conversations nor lists of them, but {str(whole)[:60]!r}")
    return whole


def _asked(record: dict, task: str) -> Episode:
    """Twenty Questions, Guess My City: `{lines, correct, word}`, a line being a question with its answer behind the question
    mark, or question and answer being a line each. -1 a question, 0 for the last one of a game that is `correct`."""
    lines, correct, word = [line.strip() for line in record["lines"]], record["correct"], record["word"]
    both = [re.fullmatch(r"(.*\?)\s+(\S.*)", line, re.DOTALL) for line in lines]
    pairs = [found.groups() for found in both] if all(both) else list(zip(lines[::2], lines[1::2], strict=True))
    if not pairs or not all(question.endswith("?") for question, _ in pairs):
        raise ValueError("lines are questions with their answers")
    if not isinstance(correct, bool):
        raise ValueError(f"`correct` is true or false, not {correct!r}")
    most, kind = TASKS[task].max_actions, TASKS[task].env.option_names[0]
    if len(pairs) > most:
        raise ValueError(f"{len(pairs)} questions, and {most} are all that a game has")
    turns = [Turn(TASKS[task].env.first, False)]
    for k, (question, answer) in enumerate(pairs, start=1):
        turns += [Turn(question, True, 0.0 if correct and k == len(pairs) else -1.0), Turn(_line(answer), False)]
    while not isinstance(word, str):  # a list of names that all count, or a list of such lists
        word = word[0]
    over = correct or len(pairs) == most
    return Episode(task, turns, over, not over, policy="published",
                   info={"success": correct, "invalid": 0, "hidden": {kind: word}})


def _sold(record: dict, task: str) -> Episode:
    """Car Dealer: `{buyer_info, lines, output}`, a line being `{role, text}` or "Seller: text", the output being `{car_bought,
    buy_price}` or a text with the price. The sale price in thousands of dollars on the last seller's turn; a conversation
    without an output was cut. Lines of one speaker in a row are one turn; the seller's first has an empty one before it."""
    turns = [Turn("", False)]
    for line in record["lines"]:
        role, text = (line["role"], line["text"]) if isinstance(line, dict) else line.partition(":")[::2]
        sells = {"seller": True, "dealer": True, "buyer": False}[role.strip().lower()]
        if sells != turns[-1].is_action:
            turns.append(Turn("", sells))
        turns[-1].text = f"{turns[-1].text} {' '.join(text.split())}".strip()
    for turn in turns[::2]:
        turn.text += "\n"
    output = record.get("output")
    if output is None and turns[-1].is_action:
        turns.append(Turn("\n", False))
    price = 0.0 if output is None else _sale_price(output)
    [turn for turn in turns if turn.is_action][-1].reward = price
    hidden = {name.replace("_", " "): ", ".join(map(str, value)) if isinstance(value, list) else str(value)
              for name, value in record.get("buyer_info", {}).items()}
    return Episode(task, turns, output is not None, output is None, policy="published",
                   info={"success": price > 0, "invalid": 0, "hidden": hidden})


SALE = re.compile(r"\b(?:buy(?:s|ing)?|bought|sale|sold|purchased?|decision)\b", re.IGNORECASE)
AMOUNT = re.compile(r"(\$?)\s*(\d[\d,]*(?:\.\d+)?)(?![\d.,]*\s*(?:%|percent))\s*(k\b|dollars?\b|)", re.IGNORECASE)


def _sale_price(output: dict | str) -> float:
    """Thousands of dollars, 0 without a sale; an amount under 1,000 is taken to be in thousands.

    Of a text the sentences that speak of the sale count, if there are any: "Bought for $45,000. No discount was given." is a
    sale. Of its numbers the last one with a sign of money counts, if there is one, and never a percentage.
    """
    if isinstance(output, dict):
        bought = next((output[name] for name in ("car_bought", "buy_or_not", "bought") if name in output), True)
        price = next((output[name] for name in ("buy_price", "price", "sale_price") if name in output), None)
        output = f"{ {True: '', False: 'no', None: 'no'}.get(bought, bought)} {'no' if price is None else price}"
    sentences = re.split(r"(?<=[.!?;])\s+|\n", output)
    of_sale = " ".join(sentence for sentence in sentences if SALE.search(sentence)) or output
    amounts = AMOUNT.findall(of_sale) or AMOUNT.findall(output)
    if not amounts or re.search(r"\b(?:no|not|never|false|reject(?:s|ed)?|without)\b|n't\b", of_sale, re.IGNORECASE):
        return 0.0
    _, number, unit = ([found for found in amounts if found[0] or found[2]] or amounts)[-1]
    amount = float(number.replace(",", ""))
    return amount if unit.lower() == "k" or amount < 1000 else amount / 1000


def describe(episodes: Iterable[Episode]):
    """A pandas table with a row an episode: return, actions, success, terminated, policy."""
    import pandas as pd
    return pd.DataFrame([{"return": e.total_return, "actions": len(e.actions), "success": e.success,
                          "terminated": e.terminated, "policy": e.policy} for e in episodes])
