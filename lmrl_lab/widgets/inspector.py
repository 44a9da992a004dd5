"""`inspect_tokens`: an Episode token by token, what the policy and the value-guided policy thought at each of them."""

from __future__ import annotations

from html import escape

import ipywidgets as widgets

from lmrl_lab.env import TASKS
from lmrl_lab.episode import Episode
from lmrl_lab.widgets import draw, draw_tokens
from lmrl_lab.widgets.player import view_of


def inspect_tokens(agent, episode: Episode, colour: str = "q") -> Inspector:
    """Look into a language-model agent, token by token of an Episode that it or anyone else has played.

    colour: "q", "v", "advantage", "policy", "guided" (probabilities) or "kl"; an agent without values has "policy" only.
    Step through the action tokens with the buttons or, by arrow keys or mouse, with the slider; chips are not clickable.
    """
    return Inspector(agent, episode, colour)


class Inspector:
    """The widget that `inspect_tokens` returns. `go(n)` chooses the n-th action token, counted from 1.

    `report`: the `inspection.TokenReport` behind it, whose `frame` and `alternatives(n)` hold the numbers.
    """

    def __init__(self, agent, episode: Episode, colour: str = "q"):
        from lmrl_lab.inspection import TokenReport  # imports torch
        if colour not in draw_tokens.MEASURES:
            raise ValueError(f"colour is one of {', '.join(draw_tokens.MEASURES)}, not {colour!r}")
        self.agent, self.episode, self.report = agent, episode, TokenReport(agent, episode)
        self.beta = agent.decoding.beta
        self.places = self.report.frame.index[self.report.frame["is_action"]].tolist()  # row of each action token
        self._build(colour)
        self._draw()

    def go(self, n: int) -> None:
        """Choose the n-th action token; a number outside the game chooses its nearer end."""
        self.slider.value = min(max(n, 1), len(self.places))

    # ------------------------------------------------------------------------------------------ controls

    def _build(self, colour: str) -> None:
        has = {"q": self.agent.has_q, "v": self.agent.value_model is not None, "policy": True, "guided": self.beta > 0}
        has |= {"advantage": has["q"], "kl": has["guided"]}
        words = {"description_width": "initial"}
        self.colour = widgets.Dropdown(options=[(name, key) for key, name in draw_tokens.MEASURES.items() if has[key]],
                                       value=colour if has[colour] else "policy", description="Colour:", style=words,
                                       layout=widgets.Layout(width="300px"))
        n = len(self.places)  # a slider needs two ends that differ
        self.slider = widgets.IntSlider(description="Token:", min=1, max=max(n, 2), style=words,
                                        layout=widgets.Layout(width="320px", display=None if n > 1 else "none"))
        for control in (self.colour, self.slider):
            control.observe(lambda _: self._draw(), "value")
        steps = [("First", lambda: 1), ("◀ Previous", lambda: self.slider.value - 1),
                 ("Next ▶", lambda: self.slider.value + 1), ("Last", lambda: n)]
        self.buttons = [self._button(words, place) for words, place in steps]
        self.next_disagreement = self._button("Next disagreement ≠", self._disagreement)
        self.next_disagreement.disabled = not self.report.frame["disagree"].any()
        self.header, self.status, self.tokens, self.legend, self.table = (widgets.HTML() for _ in range(5))
        row = widgets.Layout(flex_flow="row wrap", align_items="center", grid_gap="0 10px")
        self.tokens.layout = widgets.Layout(flex="1 1 360px", max_width="680px")
        self.box = widgets.VBox([
            self.header, widgets.HBox([self.colour, self.slider], layout=row),
            widgets.HBox([*self.buttons, *[self.next_disagreement] * has["guided"]], layout=row), self.status,
            widgets.HBox([self.tokens, widgets.VBox([self.table, self.legend])],
                         layout=widgets.Layout(flex_flow="row wrap", grid_gap="18px"))],
            layout=widgets.Layout(max_width="1100px"))
        self.header.value = self._header()

    def _button(self, words: str, place) -> widgets.Button:
        button = widgets.Button(description=words, layout=widgets.Layout(width="auto"))
        button.on_click(lambda _: self.go(place()))
        return button

    def _disagreement(self) -> int:
        """The next action token at which the two policies would choose differently; after the last one the first."""
        differ = [n for n, place in enumerate(self.places, start=1) if self.report.frame["disagree"].iloc[place]]
        return next((n for n in differ if n > self.slider.value), differ[0])

    # ------------------------------------------------------------------------------------------ drawing

    def _draw(self) -> None:
        n = self.slider.value
        self.status.value, self.tokens.value, self.table.value, self.legend.value = self._parts()
        for button, end in zip(self.buttons, (1, 1, len(self.places), len(self.places)), strict=True):
            button.disabled = n == end

    def _parts(self) -> tuple[str, str, str, str]:
        """HTML of the status, the chips, the alternatives and the legend for the chosen token."""
        frame, n, colour = self.report.frame, self.slider.value, self.colour.value
        return (draw.card(f'<div role="status" aria-live="polite">{escape(self._said())}</div>', "padding:4px 0"),
                draw_tokens.draw_tokens(frame, self.episode.turns, self.places[n - 1], colour),
                draw_tokens.draw_alternatives(self.report.alternatives(n), self.beta),
                draw_tokens.draw_legend(frame, colour))

    def _said(self) -> str:
        """The chosen token in a sentence."""
        row = self.report.frame.iloc[self.places[self.slider.value - 1]]
        said = (f"token {self.slider.value} of {len(self.places)}, '{draw_tokens.shown(row['token'])}': the policy alone says "
                f"{draw_tokens.percent(row['policy'])}")
        if self.beta:
            said += f", guided {draw_tokens.percent(row['guided'])}"
        if self.agent.has_q:
            said += f"; Q {draw.number(row['q'])}, V {draw.number(row['v'])}, advantage " + draw_tokens.measure(
                row["advantage"], "advantage")
        elif self.agent.value_model is not None:
            said += f"; V {draw.number(row['v'])}"
        until = " until the game was cut" if self.episode.truncated else ""
        return f"{said}; return that followed{until} {draw.number(row['return_to_go'])}"

    def _header(self) -> str:
        episode, gamma = self.episode, getattr(self.agent.value_model, "gamma", 1.0)
        discounted = f", returns discounted by {gamma:g} a token" if gamma < 1 else ""
        return draw.card(
            f'<div><b style="font-size:15px">{escape(TASKS[episode.task].title)}</b> · played by '
            f'{escape(episode.policy or "an unnamed policy")}, return {draw.number(episode.total_return)}</div>'
            f'<div style="color:{draw.FAINT}">looked into with {escape(self.agent.name)}, which sees '
            f'{_seen(self.agent.context)}{discounted}</div>')

    # ------------------------------------------------------------------------------------------ the plain twin

    def __repr__(self) -> str:
        frame = self.report.frame[self.report.frame["is_action"]].drop(columns=["token_id", "is_action"])
        frame = frame.assign(token=frame["token"].map(draw_tokens.shown)).dropna(axis="columns", how="all")
        frame.index = range(1, len(frame) + 1)
        table = frame.to_string(max_rows=60, float_format=lambda value: f"{value:.3f}")
        return f"{self.episode.task}, {self.episode.policy}, return {self.episode.total_return:g}\n{self._said()}\n{table}"

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        """The controls where they work; in a saved notebook the chosen token, and the numbers of all as a table."""
        status, tokens, table, legend = self._parts()
        beside = f'<div style="flex:1 1 360px;max-width:680px">{tokens}</div><div>{table}{legend}</div>'
        still = f'{self._header()}{status}<div style="display:flex;flex-wrap:wrap;gap:18px">{beside}</div>'
        numbers = f"<details><summary>All action tokens</summary><pre>{escape(repr(self))}</pre></details>"
        return {"text/plain": repr(self), "application/vnd.jupyter.widget-view+json": view_of(self.box),
                "text/html": still + numbers}


def _seen(context: str | int) -> str:
    named = {"turn": "the last observation", "episode": "the whole game so far"}
    return named.get(context) or f"the last observation and {context} turn{'s' * (context != 1)} before it"
