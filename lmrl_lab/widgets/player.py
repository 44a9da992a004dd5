"""`play`: any task at a widget, by typing or with buttons, beside an agent that can be asked.

Controls only: the game itself is in `game`, the pictures are in `draw`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from collections.abc import Sequence
from html import escape
from pathlib import Path

import ipywidgets as widgets

from lmrl_lab.episode import Episode, append_episode
from lmrl_lab.policies import Policy
from lmrl_lab.widgets import draw
from lmrl_lab.widgets.game import Game, advice
from lmrl_lab.widgets.moves import manners

ENTER_WINDOW, ENTER_WAIT = 1.0, 0.3  # seconds, see `_on_text_message`
BACK = "← back"
WATCH_PAUSE, WATCHED_MOVES = 0.25, 40  # seconds between the moves that are watched; the moves after these are not


def play(task: str, agent: Policy | None = None, save_to: str | os.PathLike | None = None, seed: int | None = None,
         options: dict | None = None, **keywords) -> Player:
    """Play a task by hand: `game = play("maze-fo")`; then `game.returns` and `game.episodes` hold the finished games.

    agent: anything that plays; it can be asked what it would do, and can play a move or the rest.
    save_to: a .jsonl file to which every finished game is added.
    seed: of the first game, the next ones count up; None draws one for each game.
    options: for `reset`, as `{"start": (3, 3)}`. keywords: as in `make`, for example `layout="umaze"`.
    """
    return Player(Game(task, seed, options, **keywords), agent, save_to)


class Player:
    """The widget that `play` returns. `step(action)` and `new_game(seed)` do from code what the controls do."""

    def __init__(self, game: Game, agent: Policy | None = None, save_to: str | os.PathLike | None = None):
        if save_to is not None and Path(save_to).suffix != ".jsonl":
            raise ValueError(f"save_to is a .jsonl file, not '{save_to}'")
        self.game, self.agent, self.save_to = game, agent, save_to
        self.manners = manners(game.card.id)
        self._entered, self._doubted, self._offers, self._group = 0.0, None, {}, ""
        self._build()
        self._say_new_game()

    # ------------------------------------------------------------------------------------------ for notebooks

    @property
    def env(self):
        return self.game.env

    @property
    def episodes(self) -> list[Episode]:
        """Every game finished here, in order."""
        return self.game.episodes

    @property
    def returns(self) -> list[float]:
        """Returns of the finished games in which the agent made no move and none was taken back."""
        return self.game.returns

    def step(self, action: str) -> tuple[str, float, bool, bool, dict]:
        """Play one action and redraw. Returns Gymnasium's five values; RuntimeError when the game is over."""
        return self._step(action, by_agent=False)

    def new_game(self, seed: int | None = None) -> None:
        """Begin again; a game that is not over is dropped and leaves no Episode."""
        self.game.new(seed)
        self._say_new_game()

    def undo(self) -> None:
        """Take back the last move with its answer; the game's Episode will say so, and `returns` will leave it out."""
        action = self.game.turns[-2].text if len(self.game.turns) > 1 else ""
        self.game.undo()
        self._redraw(f"Taken back: {self.manners.show(action)}.")

    # ------------------------------------------------------------------------------------------ controls

    def _build(self) -> None:
        self.header, self.picture, self.status = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.aside = widgets.HTML(draw.aside(self.game.card.id, self.game.turns))
        self.hint, self.record, self.download = widgets.HTML(), widgets.HTML(), widgets.HTML()
        legal = self.game.infos[0]["legal_actions"]
        example = self.manners.example or (legal[0] if legal else "")
        example = f"for example: {example}" if example else "type here, then press Enter"
        # the value comes when Enter is pressed or the box is left, see `_on_text_message`
        long = self.manners.sentences
        size = {"flex": "1 1 270px", "width": "auto", "max_width": "440px"} if long else {"width": "300px"}
        self.text = widgets.Text(description="Say:" if long else "Action:", placeholder=example, continuous_update=False,
                                 layout=widgets.Layout(**size), style={"description_width": "initial"})
        self.text.on_msg(self._on_text_message)
        self.text.observe(self._on_text_value, "value")
        self.send = self._button("Send", lambda: self._submit(), "primary")
        self.take_back = self._button("Take back", self.undo)
        self.buttons = _row()
        self.ask = self._button("What would the agent do?", self._ask)
        self.agent_move = self._button("Let it move", lambda: self._play_agent(1))
        self.agent_rest = self._button("Watch it finish", lambda: self._play_agent(None))
        agent = [_row(self.ask, self.agent_move, self.agent_rest), self.hint] if self.agent is not None else []
        self.seed = widgets.Text(description="Seed:", placeholder="next", continuous_update=False,
                                 layout=widgets.Layout(width="150px"), style={"description_width": "initial"})
        self.again = self._button("New game", self._new_from_box)
        self.show_record = widgets.Checkbox(description="Show the transcript", indent=False,
                                            layout=widgets.Layout(width="auto", margin="0 0 0 14px"))
        self.show_record.observe(lambda _: self._draw_record(), "value")
        controls = widgets.VBox([self.status, _row(self.text, self.send, *[self.take_back] * self.manners.undo),
                                 self.buttons, *agent],
                                layout=widgets.Layout(flex="1 1 380px", max_width="560px"))
        picture = widgets.VBox([self.aside, self.picture]) if self.aside.value else self.picture
        self.box = widgets.VBox([
            self.header, _row(picture, controls, grid_gap="18px"),
            _row(self.seed, self.again, self.show_record, align_items="center"), self.record, self.download,
        ], layout=widgets.Layout(max_width="1000px"))

    def _button(self, words: str, action, style: str = "") -> widgets.Button:
        button = widgets.Button(description=words, button_style=style, layout=widgets.Layout(width="auto"))
        button.on_click(lambda _: self._guarded(action))
        return button

    def _guarded(self, action) -> None:
        """Errors of a callback are shown nowhere but here."""
        try:
            action()
        except Exception as error:
            self._say(f"Not done: {error}")

    def _on_text_message(self, _, content: dict, buffers) -> None:
        # On Enter the browser first says "submit" and then sends the new value, if the text has changed since the box
        # was last left; a value without a "submit" before it only means that the box was left. on_submit is deprecated.
        if content.get("event") == "submit":
            self._entered = time.monotonic()
            if self.text.value:  # left and come back to: edited, and a value will follow, or not, and none will
                _later(ENTER_WAIT, lambda: self._entered and self._submit())

    def _on_text_value(self, change: dict) -> None:
        if change["new"] and time.monotonic() - self._entered < ENTER_WINDOW:
            self._submit()

    def _submit(self) -> None:
        typed, self._entered = self.text.value, 0.0
        if not typed.strip():
            self._say("Type an action first, then press Enter.")
        elif self.game.over:
            self._say("This game is over: press New game.")
        else:
            self._guarded(lambda: self._play_typed(typed))

    def _play_typed(self, typed: str) -> None:
        action, legal = self.manners.read(typed, self.game.turns[-1].text), self.game.infos[-1]["legal_actions"]
        if self.manners.mistake and typed != self._doubted and legal is not None and action not in legal:
            self._doubted = typed  # a slip of the finger is not a move
            self._say(f"'{typed.strip():.40}' is {self.manners.mistake}. Press Enter again to play it all the same.")
            return
        self._step(action, by_agent=False)
        self.text.value = ""  # what could not be played stays in the box

    def _new_from_box(self) -> None:
        typed = self.seed.value.strip()
        self.new_game(typed or None)
        self.seed.value = ""
        self.text.send({"do": "focus"})  # ipywidgets 7 has no Text.focus()

    # ------------------------------------------------------------------------------------------ the game

    def _step(self, action: str, by_agent: bool):
        game = self.game
        result = game.step(action, by_agent)
        who, reward, message = "Agent" if by_agent else "You", game.turns[-2].reward, game.infos[-1].get("message", "")
        said = f"{who}: {self.manners.show(action.strip())} → {message} (reward {draw.number(reward)})."
        if game.over:
            turns = len(game.infos) - 1
            said += f" Game over after {turns} turn{'s' * (turns != 1)}: {self._graded(game.total_return)}. {self._save()}"
        self._redraw(said)
        return result

    def _save(self) -> str:
        self.download.value = self._download_link()
        if self.save_to is None:
            return ""
        try:
            append_episode(self.save_to, self.game.episodes[-1])
        except (OSError, ValueError) as error:
            return f"NOT saved: {error}. The link below still has it."
        return f"Added to {Path(self.save_to).name}."

    def _download_link(self) -> str:
        lines = "".join(json.dumps(episode.to_dict(), ensure_ascii=False) + "\n" for episode in self.episodes)
        coded = lines.encode(errors="backslashreplace")  # half a surrogate pair, written as JSON writes it
        data, n = base64.b64encode(coded).decode(), len(self.episodes)
        return draw.card(f'<a download="{self.game.card.id}-games.jsonl" href="data:application/jsonl;base64,{data}" '
                         f'style="color:var(--jp-content-link-color, #0550ae);text-decoration:underline">'
                         f'Download {n} finished game{"s" * (n != 1)} (.jsonl)</a>')

    def _ask(self) -> None:
        legal = self.game.infos[-1]["legal_actions"]
        actions = self._advice()
        self.game.hints += 1
        closed = legal is not None and len(actions) >= len(legal)
        self.hint.value = draw.draw_actions(actions, closed, self.manners.show)

    def _advice(self) -> list[dict]:
        return advice(self.agent, self.game.card.id, self.game.turns, self.game.infos, self.game.seed)

    def _play_agent(self, moves: int | None) -> None:
        """The agent's first choice is played, once or (None) until the game is over."""
        played = 0
        while not self.game.over and played != moves:
            self._step(self._advice()[0]["action"], by_agent=True)
            played += 1
            if moves is None and not self.game.over and played < WATCHED_MOVES:
                time.sleep(WATCH_PAUSE)

    # ------------------------------------------------------------------------------------------ drawing

    def _say_new_game(self) -> None:
        message = self.game.infos[0].get("message", "")
        self._redraw(f"New game, seed {self.game.seed}{': ' * bool(message)}{message}.")

    def _redraw(self, said: str) -> None:
        game = self.game
        self._doubted, self._group = None, ""
        self.header.value = self._header()
        self._draw_picture()
        self._say(said)
        self._show_buttons(game.infos[-1]["legal_actions"])
        self.take_back.disabled = len(game.turns) == 1
        for button in (self.send, self.ask, self.agent_move, self.agent_rest):
            button.disabled = game.over
        self.hint.value = ""
        self._draw_record()

    def _draw_picture(self) -> None:
        game = self.game
        picked = {"picked": self._group[-2:]} if self._group else {}  # the square of a chess piece
        self.picture.value = draw.view(game.card.id, game.turns, game.env, game.over, game.movers, **picked)

    def _header(self) -> str:
        game, cell = self.game, "margin-right:22px;white-space:nowrap"
        facts = [f"turn <b>{len(game.infos) - 1}</b>", f"return <b>{draw.number(game.total_return)}</b>",
                 f"seed <b>{game.seed}</b>"]
        if "opponent" in game.infos[-1]:
            facts.append(f"against <b>{escape(game.infos[-1]['opponent'])}</b>")
        if game.undone:
            facts.append(f"taken back <b>{game.undone}</b>")
        if game.returns:
            n, mean = len(game.returns), sum(game.returns) / len(game.returns)
            facts.append(f"your {n} game{'s' * (n != 1)}: best {self._graded(max(game.returns))}, mean {self._graded(mean)}")
            if self._references() is not None:
                facts.append("<small>score: 0 worst, 50 the behaviour data's mean, 100 the best known mean</small>")
        spans = "".join(f'<span style="{cell}">{fact}</span> ' for fact in facts)
        return draw.card(f'<div style="font-weight:600;font-size:15px">{escape(game.card.title)}</div>'
                         f'<div style="display:flex;flex-wrap:wrap">{spans}</div>')

    def _graded(self, value: float) -> str:
        """A return, and its score where there are references for the game that is played."""
        references = self._references()
        if references is None:
            return f"return {draw.number(value)}"
        score = round(references.normalize(value), 1)
        return f"return {draw.number(value)} (score {draw.number(score)})"

    def _references(self):
        return self.game.card.references_with(self.game.keywords)

    def _say(self, said: str) -> None:
        """The live region: what the game says, and what became of the last action."""
        seen = draw.say(self.game.card.id, self.game.turns)
        self.status.value = draw.card(f'<div role="status" aria-live="polite">{seen}<div>{escape(said)}</div></div>')

    def _show_buttons(self, legal: Sequence[str] | None) -> None:
        """The buttons that the task offers now; they are used again, so that the focus stays where it is."""
        self._offers = self.manners.offers(legal, self.game.turns[-1].text)
        shown = [*self._offers[self._group], BACK] if self._group else list(self._offers)
        pool = list(self.buttons.children)
        while len(pool) < len(shown):
            pool.append(self._action_button())
        if len(pool) != len(self.buttons.children):
            self.buttons.children = pool
        for k, button in enumerate(pool):
            button.layout.display = None if k < len(shown) else "none"
            button.description = shown[k] if k < len(shown) else ""
            button.disabled = self.game.over

    def _action_button(self) -> widgets.Button:
        button = widgets.Button(layout=widgets.Layout(width="auto"))
        button.on_click(lambda clicked: self._guarded(lambda: self._choose(clicked.description)))
        return button

    def _choose(self, words: str) -> None:
        """A button was pressed: it plays an action, opens a group of others, or leads back from there."""
        group = self._group
        chosen = None if words == BACK else (self._offers[group] if group else self._offers)[words]
        if isinstance(chosen, str):
            self._step(chosen, by_agent=False)
            if not group:
                return
        else:
            self._group = words if chosen else ""
            self._show_buttons(self.game.infos[-1]["legal_actions"])
            self._draw_picture()
        self.buttons.children[0].send({"do": "focus"})  # the pressed one may be gone; ipywidgets 7 has no Button.focus()

    def _draw_record(self) -> None:
        self.record.value = draw.draw_transcript(self.game.turns) if self.show_record.value else ""

    # ------------------------------------------------------------------------------------------ the plain twin

    def __repr__(self) -> str:
        game = self.game
        lines = [f"> {t.text}   [{t.reward:+g}]" if t.is_action else t.text.rstrip("\n") for t in game.turns]
        head = f"{game.card.title}, seed {game.seed}, turn {len(game.infos) - 1}, return {game.total_return:g}"
        return "\n".join([head, *lines])

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        """The controls where they work; a picture and the transcript in a saved notebook."""
        return {"text/plain": repr(self), "application/vnd.jupyter.widget-view+json": view_of(self.box),
                "text/html": twin(self.header.value, self.aside.value + self.picture.value,
                                  draw.draw_transcript(self.game.turns))}


def _row(*controls: widgets.Widget, **layout: str) -> widgets.HBox:
    return widgets.HBox(controls, layout=widgets.Layout(flex_flow="row wrap", **layout))


def twin(head: str, picture: str, transcript: str) -> str:
    """What shows where no widget can be: still pictures, and the transcript folded away."""
    return f"{head}{draw.as_image(picture)}<details><summary>Transcript</summary>{transcript}</details>"


def view_of(box: widgets.Widget) -> dict:
    """The front end's handle of a widget; the same for ipywidgets 7 and 8."""
    return {"version_major": 2, "version_minor": 0, "model_id": box.model_id}


def _later(seconds: float, call) -> None:
    """Call once the messages that have already left the browser are in; at once where no event loop runs (scripts)."""
    try:
        asyncio.get_running_loop().call_later(seconds, call)
    except RuntimeError:
        call()
