"""`replay`: step through any Episode, its hidden state shown, beside what an agent would have done."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import ipywidgets as widgets

from lmrl_lab.data import replay_problem
from lmrl_lab.env import TASKS, make
from lmrl_lab.episode import Episode
from lmrl_lab.policies import Policy
from lmrl_lab.widgets import draw
from lmrl_lab.widgets.game import advice
from lmrl_lab.widgets.moves import manners
from lmrl_lab.widgets.player import twin, view_of


def replay(episodes: Episode | Sequence[Episode], agent: Policy | None = None) -> Replayer:
    """Step through an Episode, or choose among several. `agent`: also shows what it would do at each turn."""
    episodes = [episodes] if isinstance(episodes, Episode) else list(episodes)
    if not episodes:
        raise ValueError("nothing to replay: give an Episode or a list with at least one")
    return Replayer(episodes, agent)


class Replayer:
    """The widget that `replay` returns. `go(turn)` shows the game after that many actions."""

    def __init__(self, episodes: list[Episode], agent: Policy | None = None):
        self.episodes, self.agent, self._env = episodes, agent, None
        choices = [(f"{i}: {e.task}, {e.policy or 'unnamed policy'}, return {draw.number(e.total_return)}", i)
                   for i, e in enumerate(episodes)]
        self.choice = widgets.Dropdown(options=choices, description="Episode:", layout=widgets.Layout(width="440px"),
                                       style={"description_width": "initial"})
        self.choice.observe(lambda change: self._load(change["new"]), "value")
        row = widgets.Layout(flex_flow="row wrap", align_items="center")
        self.slider = widgets.IntSlider(description="Turn:", min=0, max=1, layout=widgets.Layout(width="340px"),
                                        style={"description_width": "initial"})
        self.slider.observe(lambda _: self._draw(), "value")
        steps = [("First", lambda: 0), ("◀ Previous", lambda: self.slider.value - 1),
                 ("Next ▶", lambda: self.slider.value + 1), ("Last", lambda: self.slider.max)]
        self.buttons = [self._button(words, turn) for words, turn in steps]
        self.reveal = widgets.Checkbox(description="Show what is hidden", value=episodes[0].task not in draw.TALKS,
                                       indent=False, layout=widgets.Layout(width="auto", margin="0 0 0 14px"))
        self.reveal.observe(lambda _: self._draw(), "value")
        self.header, self.aside, self.picture, self.text, self.hint = (widgets.HTML() for _ in range(5))
        picture = widgets.VBox([self.aside, self.picture])
        side = widgets.VBox([self.text, self.hint], layout=widgets.Layout(flex="1 1 380px", max_width="620px"))
        self.box = widgets.VBox([
            *[self.choice] * (len(episodes) > 1), self.header,
            widgets.HBox([self.slider, *self.buttons, self.reveal], layout=row),
            widgets.HBox([picture, side], layout=widgets.Layout(flex_flow="row wrap", grid_gap="18px"))],
            layout=widgets.Layout(max_width="1000px"))
        self._load(0)

    def go(self, turn: int) -> None:
        """Show the game after `turn` actions; a number outside the game shows its nearer end."""
        self.slider.value = min(max(turn, 0), self.slider.max)

    def _button(self, words: str, turn) -> widgets.Button:
        button = widgets.Button(description=words, layout=widgets.Layout(width="auto"))
        button.on_click(lambda _: self.go(turn()))
        return button

    # ------------------------------------------------------------------------------------------ the game

    def _load(self, which: int) -> None:
        self.episode = episode = self.episodes[which]
        drawn = episode.task in draw.VIEWS or episode.task in draw.TALKS
        self.problem = _why_not_replayable(episode) if drawn else None  # then what the text tells has to do
        # else the picture is the text
        self._beside = episode.task in draw.VIEWS and (not self.problem or episode.task in draw.FROM_TEXT)
        if self._env is not None:
            self._env.close()
        self._env, self._infos, self._pictures, self._advice, self.text.value = None, [], {}, {}, ""
        if drawn and not self.problem:
            self._env = make(episode.task, **episode.info.get("keywords", {}))
        self.aside.value = draw.aside(episode.task, episode.turns)
        can_hide = episode.task in draw.HIDING and (  # a picture without its env shows what the text tells, and no more
            self._env is not None or episode.task in draw.TALKS and self._hidden() is not None)
        self.reveal.layout.display = None if can_hide else "none"
        self.slider.value = 0
        self.slider.max = len(episode.actions)
        self._draw()

    def _picture(self, turn: int) -> str:
        """Pictures are made in the order of play, as the env takes each action once; those that need only the text are not:
        there the env plays the whole game first, and its engine, if it has one, is let go. What is hidden shows at the end."""
        played, from_text = len(self.episode.actions), self.episode.task in draw.FROM_TEXT
        while len(self._infos) <= (played if from_text else turn):
            self._infos.append(self._info(len(self._infos)))
            if not from_text:
                done = len(self._infos) - 1
                self._pictures.update({(done, reveal): self._view(done, reveal) for reveal in (False, True)})
            if self._env is not None and len(self._infos) > played:
                self._env.close()
        key = turn, self.reveal.value or turn == played
        if key not in self._pictures:
            self._pictures[key] = self._view(*key)
        return self._pictures[key]

    def _info(self, turn: int) -> dict:
        """The env's info after that many actions; to be asked in this order."""
        episode = self.episode
        if self._env is None:
            actions = TASKS[episode.task].actions if episode.task in TASKS else None
            return {"legal_actions": actions, "invalid": False, "success": False, "message": ""}
        if turn == 0:
            return self._env.reset(seed=episode.seed, options=episode.info.get("options"))[-1]
        return self._env.step(episode.turns[2 * turn - 1].text)[-1]

    def _view(self, turn: int, reveal: bool) -> str:
        return draw.view(self.episode.task, self.episode.turns[:2 * turn + 1], self._env, reveal, self._player(), self._hidden())

    def _hidden(self) -> dict | None:
        """What the record says was hidden, for a game that cannot be played again: with a language model as partner, say."""
        options = self.episode.info.get("options")
        buyer = options.get("buyer") if isinstance(options, dict) else None
        told = (self.episode.info.get("hidden"), buyer, options)
        return next((facts for facts in told if facts and isinstance(facts, dict)), None)

    def _player(self) -> str:
        return "You" if self.episode.policy == "human" else self.episode.policy or "Player"

    def _draw(self) -> None:
        episode, turn = self.episode, self.slider.value
        self.picture.value = self._picture(turn)
        self.header.value = self._header(turn)
        if self._beside:
            self.text.value = draw.draw_transcript(episode.turns, current=min(2 * turn, len(episode.turns) - 1))
        if self.agent is not None:
            self.hint.value = self._hint(turn)
        for button, end in zip(self.buttons, (0, 0, len(episode.actions), len(episode.actions)), strict=True):
            button.disabled = turn == end

    def _hint(self, turn: int) -> str:
        """What the agent would do after this turn's observation, if the game goes on there."""
        if turn >= len(self.episode.actions):
            return ""
        if turn not in self._advice:
            infos = self._infos[:turn + 1]
            try:
                actions = advice(self.agent, self.episode.task, self.episode.turns[:2 * turn + 1], infos, self.episode.seed)
            except Exception as error:  # an agent of another task, say: the replay goes on without it
                return draw.card(escape(f"The agent cannot say: {error}"))
            legal = infos[-1]["legal_actions"]
            name = escape(getattr(self.agent, "name", "the agent"))
            closed = legal is not None and len(actions) >= len(legal)
            table = draw.draw_actions(actions, closed, manners(self.episode.task).show)
            self._advice[turn] = draw.card(f"<b>What {name} would do</b>", "margin-top:8px") + table
        return self._advice[turn]

    def _header(self, turn: int) -> str:
        episode = self.episode
        title = TASKS[episode.task].title if episode.task in TASKS else episode.task
        so_far = sum(t.reward for t in episode.turns[:2 * turn])
        end = "over" if episode.terminated else "cut" if episode.truncated else "not finished"
        at_end = f", the game is {end}" if turn == len(episode.actions) else ""
        shown = "Drawn from its text" if self._beside else "Shown as text"
        problem = f"{shown}: the game cannot be played again, {self.problem}." if self.problem else ""
        return draw.card(
            f'<div><b style="font-size:15px">{escape(title)}</b> · played by '
            f'{escape(episode.policy or "an unnamed policy")}</div>'
            f'<div role="status" aria-live="polite">turn <b>{turn}</b> of {len(episode.actions)}, return so far '
            f'<b>{draw.number(so_far)}</b> of {draw.number(episode.total_return)}{at_end}</div>'
            f'<div style="color:{draw.FAINT}">{escape(problem)}</div>')

    # ------------------------------------------------------------------------------------------ the plain twin

    def __repr__(self) -> str:
        return f"{self.episode.task}, {self.episode.policy}\n{self.episode.transcript()}"

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        """The controls where they work; this turn's picture and the whole transcript in a saved notebook."""
        turn = self.slider.value
        return {"text/plain": repr(self), "application/vnd.jupyter.widget-view+json": view_of(self.box),
                "text/html": twin(self._header(turn), self.aside.value + self._picture(turn),
                                  draw.draw_transcript(self.episode.turns))}


def _why_not_replayable(episode: Episode) -> str | None:
    """Why the hidden state of this game cannot be shown, or None."""
    keywords, options = episode.info.get("keywords", {}), episode.info.get("options") or {}
    if not isinstance(keywords, dict) or not isinstance(options, dict):
        return "its keywords and options are not names with values"
    if episode.seed is None and not options:
        return "it records neither a seed nor options"
    try:
        return replay_problem(episode)
    except (ValueError, TypeError, RuntimeError) as error:
        return str(error)
