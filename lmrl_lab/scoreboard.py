"""A class on one scale: games that people handed in, played again and compared, and agents that are played here.

Nothing that a hand-in says of itself counts; what cannot be told from a file stands in `leaderboard`. No rule of a game.
"""

from __future__ import annotations

import html
import inspect
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from lmrl_lab import plots
from lmrl_lab.data import replay_problem
from lmrl_lab.env import TASKS, TaskCard, make
from lmrl_lab.episode import Episode, read_episodes, read_json_lines
from lmrl_lab.evaluation import Score, accepted_by, evaluate, interval_over_seeds, score

LARGEST_MB = 20  # of a file of games: a thousand games of chess have 10
FEW = 5  # games: of fewer, an interval by bootstrap promises far too much
CHILD_GB = 8  # memory that an agent's process may ask for
OTHERS = 3  # other generators that a policy is tried with, see `_scripted`


@dataclass
class Leaderboard:
    """What `leaderboard` found: `scores` and of each its kind, `refused` hand-ins with the reason, `doubts` to ask about.

    `table` is a DataFrame, the best first; `picture` draws it. In a notebook all of it shows itself.
    """

    task: str
    scores: list[Score] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    refused: list[dict] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    keywords: dict = field(default_factory=dict)

    @property
    def table(self) -> pd.DataFrame:
        """A row a player: kind, and the columns of `plots.score_table`."""
        if not self.scores:
            return pd.DataFrame(columns=["kind"]).rename_axis("player")
        order = sorted(range(len(self.scores)), key=lambda i: -self.scores[i].mean_return)
        found = plots.score_table([self.scores[i] for i in order]).rename_axis("player")
        found.insert(0, "kind", [self.kinds[i] for i in order])
        return found

    @property
    def picture(self) -> plots.Picture:
        card = TASKS[self.task]
        return plots.compare(self.scores, title=f"{card.title}: people and agents", kinds=self.kinds,
                             references=card.references_with(self.keywords))

    def refusals(self) -> pd.DataFrame:
        """What was refused, a row a hand-in: student, what, why."""
        return pd.DataFrame(self.refused, columns=["student", "what", "why"])

    def __repr__(self) -> str:
        parts = [self.table.to_string() if self.scores else "nobody to compare"]
        parts += [f"refused: {row['student']}, {row['what']}: {row['why']}" for row in self.refused]
        return "\n".join([*parts, *(f"ask: {doubt}" for doubt in self.doubts)])

    def _repr_html_(self) -> str:
        parts = [self.picture._repr_html_(), self.table.to_html(border=0)] if self.scores else ["<p>nobody to compare</p>"]
        if self.refused:
            lines = [f"<li>{html.escape('{student}, {what}: {why}'.format(**row))}</li>" for row in self.refused]
            parts += ["<p><b>Refused</b></p><ul>", *lines, "</ul>"]
        parts += [f"<p><b>Ask:</b> {html.escape(doubt)}</p>" for doubt in self.doubts]
        return "\n".join(parts)


def leaderboard(folder: str | os.PathLike, task: str, seeds: Sequence[int] | None = None, episodes: int | None = None,
                seed: int = 1, policies: Sequence[str] = ("random", "behaviour", "best"), time_limit: float = 600.0,
                **keywords) -> Leaderboard:
    """People, agents and scripted policies on one scale.

    folder: FOLDER/<student>/*.jsonl holds the student's own games, as `play(task, seed=..., save_to=...)` writes them, and
    FOLDER/<student>/<any name>/ an agent, as `agent.save` writes it. seeds: the games that people were told to play; None:
    any, so that everybody chose games as they liked. Each seed counts once, the first time it stands in the files. keywords:
    of the game, as in `make`; all else is refused. Agents and `policies` play `episodes` games (the card's number if None)
    with the instructor's `seed`, as in `evaluate`; `time_limit`: seconds for each agent, which plays in a process of its own.

    A person's return is the mean over the games that were handed in, with a 95% interval from 5 games on. "all people" is the
    mean over people, its interval drawn over people and games.

    Refused, with the reason: a game that this game, with the recorded seed, does not give back turn by turn; one that is not
    over, or stands there twice; one of another task, of other keywords, from a chosen start, of another player, with advice or
    with moves taken back; a file or an agent that is cut or damaged. A refused hand-in stops nothing.

    A file cannot tell who sat at the keyboard, whether somebody or some program said what to play, whether games were played
    before and left out, or moves changed into others that the game would have answered alike. What looks like the first (a
    scripted policy's game, move for move) or like a copy of a neighbour's file is a doubt, not a refusal.

    Raises ValueError for an unknown task, keyword or policy, and for a partner that cannot be played again; FileNotFoundError
    for a folder that is not there.
    """
    folder, card = Path(folder), TASKS[task]
    if not folder.is_dir():
        raise FileNotFoundError(f"no such folder: {folder}")
    if keywords.get("simulator", "scripted") != "scripted":
        raise ValueError("games with a language model cannot be played again, so nobody can check them: simulator='scripted'")
    make(task, **keywords).close()  # an unknown keyword is an error before anything is read
    board, people, seeds = Leaderboard(task, keywords=keywords), {}, None if seeds is None else set(seeds)
    for student in sorted(folder.iterdir()):
        if student.name.startswith("."):
            continue
        if student.is_symlink() or not student.is_dir():
            board.refused.append({"student": "", "what": _name(student), "why": "it is in no student's folder"})
            continue
        games: dict[int, Episode] = {}
        for path in sorted(student.iterdir()):
            if not path.name.startswith("."):
                _take(board, path, card, seeds, games, (episodes, seed, time_limit))
        if games:
            name = _name(student)
            people[name if name not in people else f"{name} ({len(people) + 1})"] = list(games.values())
    for name, played in people.items():
        missing = f" ({len(played)} of {len(seeds)} games)" if seeds is not None and len(played) < len(seeds) else ""
        _add(board, _few(score(played, policy=name + missing)), "person")
    if len(people) > 1:
        _add(board, _together(people), "all people")
    for policy in policies:
        _add(board, replace(evaluate(policy, task, episodes, seed, **keywords), policy=policy), "scripted")
    board.doubts += [*_scripted(people, card, keywords), *_copies(people, card, keywords)]
    return board


def _take(board: Leaderboard, path: Path, card: TaskCard, seeds: set[int] | None, games: dict, evaluation: tuple) -> None:
    """Read one thing of a student's folder into `games` or `board`; whatever is wrong with it is a line in `board.refused`."""
    def refuse(why: object, what: str = "") -> None:
        board.refused.append({"student": _name(path.parent), "what": _name(path) + what, "why": _line(why)})

    try:
        if path.is_symlink():
            refuse("a link, not a file")
        elif path.is_dir():
            if not any((path / place).is_file() for place in ("agent.json", "agent/agent.json")):
                return refuse("no saved agent: it has no agent.json")
            played = _play_apart(path, card.id, *evaluation, board.keywords)
            _add(board, score(played, policy=f"{_name(path.parent)}: {_name(path)}"), "agent")
        elif path.suffix != ".jsonl" or not path.is_file():
            refuse("neither a .jsonl file of games nor the folder of an agent")
        elif path.stat().st_size > LARGEST_MB * 1_000_000:
            refuse(f"more than {LARGEST_MB} MB")
        else:
            for number, record in list(read_json_lines(path)):  # all lines are whole, or none is taken
                why = _keep(record, card, seeds, games, board.keywords)
                if why:
                    refuse(why, f", line {number}")
    except Exception as error:  # a hand-in is anybody's file: whatever reading it raises is said, and the board goes on
        refuse(str(error).replace(f"{path.parent}{os.sep}", "") or type(error).__name__)


def _keep(record, card: TaskCard, seeds: set[int] | None, games: dict[int, Episode], keywords: dict) -> str | None:
    """Put the Episode of a file's line among `games`, by its seed; or say why not."""
    try:
        episode = Episode.from_dict(record)
        why = _not_this_game(episode, card, keywords)
        if why is None and seeds is not None and episode.seed not in seeds:
            why = f"seed {episode.seed} is none of the games that were to be played"
        if why is None and episode.seed in games:
            twice = games[episode.seed].actions == episode.actions
            why = f"the game with seed {episode.seed} once more" + (", move for move" if twice else "; the first one counts")
        why = why or replay_problem(episode, whole=True, **keywords)
    except Exception as error:  # an env may raise what it likes at a seed or an action that no widget wrote
        why = f"it cannot be played again: {error}"
    if why is None:
        games[episode.seed] = episode
    return why


def _not_this_game(episode: Episode, card: TaskCard, keywords: dict) -> str | None:
    """Why a game is not what was asked for, whatever its moves: who played, what, and from where."""
    info = episode.info
    if episode.task != card.id:
        return f"a game of '{episode.task}', not of '{card.id}'"
    if type(episode.seed) is not int:
        return f"a game has a whole number as its seed, not {episode.seed!r:.40}"
    if episode.policy != "human":
        return f"it was played by '{episode.policy}', not by a person"
    for name, said in (("agent_moves", "an agent made {} of the moves"), ("hints", "an agent was asked for advice, {} times"),
                       ("undone", "moves were taken back, {} times")):
        if info.get(name):
            return said.format(info[name])
    if info.get("options"):
        return f"it began where the player wanted: {info['options']}"
    if (given := _changed(card, info.get("keywords", {}))) != _changed(card, keywords):
        return f"another game: {given}, not {_changed(card, keywords)}"
    return None


def _changed(card: TaskCard, keywords: dict) -> dict:
    """The keywords that differ from what `make` takes by default."""
    usual = inspect.signature(card.env).parameters
    return {name: value for name, value in keywords.items() if name not in usual or value != usual[name].default}


# ---------------------------------------------------------------------------------------------- scores

def _add(board: Leaderboard, found: Score, kind: str) -> None:
    board.scores.append(found)
    board.kinds.append(kind)


def _few(found: Score) -> Score:
    return found if found.episodes >= FEW else replace(found, interval=(float("nan"), float("nan")))


def _together(people: dict[str, list[Episode]]) -> Score:
    """The mean over people, each person's games first averaged; the interval is drawn over people, then over their games."""
    each = [score(played) for played in people.values()]
    mean = {name: float(np.mean([getattr(one, name) for one in each]))
            for name in ("mean_return", "success_rate", "invalid_rate", "mean_length")}
    returns = [[episode.total_return for episode in played] for played in people.values()]
    episode = next(iter(people.values()))[0]
    references = TASKS[episode.task].references_with(episode.info.get("keywords", {}))
    return Score(episode.task, f"all {len(people)} people", sum(map(len, returns)), interval=interval_over_seeds(returns),
                 normalized=references.normalize(mean["mean_return"]) if references else float("nan"), **mean)


# ---------------------------------------------------------------------------------------------- agents

def _play_apart(folder: Path, task: str, episodes: int | None, seed: int, time_limit: float, keywords: dict) -> list[Episode]:
    """The games of an agent, played in a process of its own: without a network, without a terminal, with an end.

    Weights are read as data (safetensors, or torch.load with weights_only), and code that came with them is not run. Raises
    ValueError with what the process said, or that it did not end in time.
    """
    with tempfile.TemporaryDirectory() as out:
        call = json.dumps([str(folder.resolve()), task, episodes, seed, str(Path(out) / "games.jsonl"), keywords])
        paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        world = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "HF_HUB_OFFLINE": "1",
                 "TRANSFORMERS_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        code = "import sys; from lmrl_lab import scoreboard as here; here._limit_memory(); here._play_here(sys.argv[1])"
        try:
            done = subprocess.run([sys.executable, "-c", code, call], cwd=out, env=world, stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, errors="replace", timeout=time_limit)
        except subprocess.TimeoutExpired:
            raise ValueError(f"it did not finish its games in {time_limit:g} seconds") from None
        if done.returncode:
            said = done.stderr.strip().split("\n")[-1] or f"its process ended with {done.returncode}"
            raise ValueError(said.replace(str(folder.resolve()), folder.name))
        return sorted(read_episodes(Path(out) / "games.jsonl", task), key=lambda game: game.seed)  # not as they ended


def _limit_memory() -> None:
    """An agent with a network too large ends its own process, not the machine's others."""
    try:
        import resource
        resource.setrlimit(resource.RLIMIT_DATA, (CHILD_GB * 2**30,) * 2)
    except (ImportError, OSError, ValueError):  # Windows, or a lower limit that is there already
        pass


def _play_here(call: str) -> None:
    """What the process of an agent does; its last line on stderr is the reason where it fails."""
    folder, task, episodes, seed, out, keywords = json.loads(call)
    try:
        from lmrl_lab.agent import load_agent
        evaluate(load_agent(folder), task, episodes, seed, save_to=out, **keywords)
    except Exception as error:
        sys.exit(_line(error) or type(error).__name__)


# ---------------------------------------------------------------------------------------------- doubts

def _scripted(people: dict[str, list[Episode]], card: TaskCard, keywords: dict) -> Iterator[str]:
    """People whose games are those of a scripted policy that draws, seed by seed, and not those it draws with other seeds."""
    for name, played in people.items():
        for policy in card.policies:
            same = sum(_its_moves(policy, episode, episode.seed, card, keywords) for episode in played)
            others = same and sum(_its_moves(policy, episode, episode.seed + k, card, keywords)
                                  for episode in played for k in range(1, 1 + OTHERS))
            if same >= 3 and same > others:
                yield (f"{same} of {len(played)} games of {name} are those that the policy '{policy}' plays with the same seeds, "
                       f"move for move; with {OTHERS} other seeds each, {others} are")


def _copies(people: dict[str, list[Episode]], card: TaskCard, keywords: dict) -> Iterator[str]:
    """Pairs of people with three or more equal games that are not simply the best there is."""
    names = list(people)
    for i, one in enumerate(names):
        for other in names[:i]:
            known = {(episode.seed, *episode.actions) for episode in people[other]}
            alike = [episode for episode in people[one] if (episode.seed, *episode.actions) in known]
            if len(alike) >= 3:
                odd = sum(not _its_moves("best", episode, episode.seed, card, keywords) for episode in alike)
                if odd >= 3:
                    yield f"{odd} games of {one} and {other} are equal, move for move, and not the best player's"


def _its_moves(policy: str, episode: Episode, seed: int, card: TaskCard, keywords: dict) -> bool:
    """Whether the scripted policy, its row seeded with `seed`, makes every move of this game; asked until one differs."""
    build = card.policies[policy]
    player = build(**accepted_by(build, keywords))
    env = make(card.id, **keywords)
    try:
        text, info = env.reset(seed=episode.seed, options=episode.info.get("options"))
        player.reset([seed])
        for action in episode.actions:
            if player.act([text], [info])[0].removesuffix("\n") != action:
                return False
            text, _, _, _, info = env.step(action)
        return True
    finally:
        env.close()


# ---------------------------------------------------------------------------------------------- words

def _name(path: Path) -> str:
    """A file's name as it may stand in a table and a figure, whatever characters it has."""
    return "".join(letter if letter.isprintable() and letter not in "$\\" else "?" for letter in path.name)[:40]


def _line(said: object) -> str:
    """One line of printable text, at most 300 characters."""
    text = " ".join(str(said).split())
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:300]
