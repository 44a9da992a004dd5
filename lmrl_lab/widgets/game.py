"""What `play` knows that is not a control: one env played game after game, the finished Episodes, an agent's advice."""

from __future__ import annotations

import secrets
import weakref
from collections.abc import Sequence
from dataclasses import asdict

from lmrl_lab.env import TASKS, TextEnv, make
from lmrl_lab.episode import Episode, Turn
from lmrl_lab.policies import Policy
from lmrl_lab.widgets.moves import manners

MAX_SEED = 2**32 - 1


def check_seed(seed) -> int:
    """A seed from an int or typed text; ValueError says what is accepted."""
    try:
        value = int(seed)
    except (TypeError, ValueError):
        value = -1
    if not 0 <= value <= MAX_SEED or isinstance(seed, float):
        raise ValueError(f"a seed is a whole number from 0 to {MAX_SEED}, not {str(seed)!r:.40}")
    return value


# the last game of each task that has an engine: a notebook's cell that is run again leaves its old widget, and with it an
# engine of a hundred megabytes, alive
_LATEST: weakref.WeakValueDictionary[str, Game] = weakref.WeakValueDictionary()


class Game:
    """A person's game: `turns` so far, `infos` (one an observation), `over`; whole games become `episodes`.

    seed: of the first game; later games count up from it. None: each game draws a seed, and its Episode records it.
    options: for every `reset`. keywords: change the game, as in `make`.
    """

    def __init__(self, task: str, seed: int | None = None, options: dict | None = None, **keywords):
        self.card, self.env = TASKS[task], make(task, **keywords)
        self.options, self.keywords = options, keywords
        self.episodes: list[Episode] = []
        self._counted = seed is not None
        self._next = check_seed(seed) if self._counted else None
        if self.card.id in _LATEST:
            _LATEST[self.card.id].env.close()
        if manners(self.card.id).engine:
            _LATEST[self.card.id] = self
        self.new()

    def new(self, seed: int | None = None) -> None:
        """Begin a game; one that is not over is dropped."""
        if seed is None:
            seed = self._next if self._counted else secrets.randbelow(1_000_000)
        seed = check_seed(seed)
        text, info = self.env.reset(seed=seed, options=self.options)
        self.seed, self._next = seed, min(seed + 1, MAX_SEED)
        self.turns, self.infos = [Turn(text, False)], [info]
        self.over, self.hints, self.undone, self._by_agent = False, 0, 0, []

    def step(self, action: str, by_agent: bool = False) -> tuple[str, float, bool, bool, dict]:
        """Gymnasium's five values. When the game ends its Episode is the last of `episodes`."""
        if self.over:
            raise RuntimeError("this game is over: start a new one")
        text, reward, terminated, truncated, info = result = self.env.step(action)
        self.turns += [Turn(action.removesuffix("\n"), True, float(reward)), Turn(text, False)]
        self.infos.append(info)
        self._by_agent.append(by_agent)
        self.over = terminated or truncated
        if self.over:
            self.episodes.append(self._episode(terminated))
            if manners(self.card.id).engine:
                self.env.close()
        return result

    def undo(self) -> None:
        """Take back the last move with its answer: the game is played again up to there. An Episode that the move ended
        stays; the one that this game ends in says how many moves were taken back. RuntimeError where there is no move, or
        where the game does not repeat itself."""
        if not self._by_agent:
            raise RuntimeError("there is no move to take back")
        turns, env = self.turns[:-2], make(self.card.id, **self.keywords)
        try:
            text, info = env.reset(seed=self.seed, options=self.options)
            infos = [info]
            for action, answer in zip(turns[1::2], turns[2::2], strict=True):
                text, _, _, _, info = env.step(action.text)
                infos.append(info)
                if text != answer.text:
                    raise RuntimeError("this game answers differently each time, so no move can be taken back")
        except Exception:
            env.close()
            raise
        self.env.close()
        self.env, self.turns, self.infos, self.over = env, turns, infos, False
        self.undone, self._by_agent = self.undone + 1, self._by_agent[:-1]

    @property
    def movers(self) -> list[str]:
        """Who made each of the moves so far."""
        return ["Agent" if by_agent else "You" for by_agent in self._by_agent]

    @property
    def agent_moves(self) -> int:
        """How many of the moves so far the agent made."""
        return sum(self._by_agent)

    def _episode(self, terminated: bool) -> Episode:
        played = len(self.infos) - 1
        info = {"success": self.infos[-1]["success"], "invalid": sum(info["invalid"] for info in self.infos)}
        keywords = {name: getattr(value, "spec", value) for name, value in self.keywords.items()}
        model = getattr(self.env, "simulator", None)
        if model is not None:  # its answers cannot be had again: the record says who spoke, and what was hidden
            keywords["simulator"], info["hidden"] = model.spec, hidden_part(self.env)
        against = getattr(self.env, "opponent", None)  # chess: whom "auto" stands for differs from machine to machine
        extras = {"options": self.options, "keywords": keywords, "opponent": against, "agent_moves": self.agent_moves,
                  "hints": self.hints, "undone": self.undone}
        info.update({name: value for name, value in extras.items() if value})
        policy = "human" if not self.agent_moves else "agent" if self.agent_moves == played else "human and agent"
        return Episode(self.card.id, self.turns, terminated, not terminated, self.seed, policy, info)

    @property
    def total_return(self) -> float:
        """Return of the running game so far, in task units."""
        return float(sum(turn.reward for turn in self.turns))

    @property
    def returns(self) -> list[float]:
        """Returns of the finished games in which the agent made no move and none was taken back."""
        return [episode.total_return for episode in self.episodes
                if episode.policy == "human" and not episode.info.get("undone")]


def hidden_part(env: TextEnv) -> dict:
    """What the player of a dialogue is not told: {"object": "Piano"}, or the buyer as the option `buyer` takes him."""
    if env.task != "car-dealer":
        return {env.oracle.kind: env.hidden} if hasattr(env, "oracle") else {}  # {}: a task of one's own
    buyer = asdict(env.buyer)
    del buyer["opening"]  # drawn, and no option
    return {**buyer, "features": list(env.buyer.features), "budget": env.buyer.budget // 10}  # thousands of dollars


def advice(agent: Policy, task: str, turns: Sequence[Turn], infos: Sequence[dict], seed: int | None) -> list[dict]:
    """What `agent` would do now, best first, each `{"action", "probability", "value"}`.

    An agent with `top_actions(turns, legal_actions, n)` is asked; any other policy is played over the transcript with
    the game's seed, and gives the one action that it takes.
    """
    if hasattr(agent, "top_actions"):
        legal = infos[-1]["legal_actions"]
        return agent.top_actions(turns, legal, n=5 if legal is None else max(len(legal), 1))
    if manners(task).position_only:
        turns, infos = turns[-1:], infos[-1:]
    agent.reset([seed or 0])
    its, played = "", [turn.text for turn in turns[1::2]]
    for turn, info, before in zip(turns[::2], infos, [None, *played], strict=True):
        # whoever made them, these are the moves that were made: a policy with a memory goes by them
        its = agent.act([turn.text], [info if before is None else {**info, "played": before}])[0]
    return [{"action": its, "probability": None, "value": None}]
