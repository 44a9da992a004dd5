"""Tokens as chips, coloured by a number, and what could have stood in their place: HTML strings, pure functions.

The tables are those of `inspection.TokenReport`. Nothing here relies on colour: each number is printed as well.
"""

from __future__ import annotations

from html import escape

from lmrl_lab.widgets.draw import FAINT, INK, LINE, MONO, PANEL, PAPER, SANS, card, number

# what tokens can be coloured by: column of the table -> what it is called
MEASURES = {"q": "Q (task units)", "v": "V (task units)", "advantage": "advantage Q − V (task units)",
            "policy": "probability, policy alone", "guided": "probability, guided policy",
            "kl": "KL of guided from policy (nats)"}
SEQUENTIAL = ("#eef5fc", "#6baed6", "#08458c")
DIVERGING = ("#b34700", "#f3b27c", "#f7f5f0", "#7db3dc", "#08458c")  # of use to colour-blind readers too
CHOSEN = "#d55e00"
POLICY, GUIDED = "#6b7684", "#1f5fbf"  # bars
LINE_TOKENS, LONG_NAME = 30, 20  # a turn of more tokens is cut, and in the table a token of more letters


def limits(frame, colour: str) -> tuple[float, float]:
    """The ends of the scale over a whole episode: probabilities 0 to 1, KL from 0, advantage the same on both sides of 0."""
    low, high = float(frame[colour].min()), float(frame[colour].max())
    if colour in ("policy", "guided"):
        return 0.0, 1.0
    if colour == "advantage":
        return -max(-low, high), max(-low, high)
    return (0.0, high) if colour == "kl" else (low, high)


def tint(value: float, colour: str, ends: tuple[float, float]) -> tuple[str, str]:
    """(background, ink) of a value on its scale, as '#rrggbb'."""
    stops = [[int(stop[i:i + 2], 16) for i in (1, 3, 5)] for stop in (DIVERGING if colour == "advantage" else SEQUENTIAL)]
    low, high = ends
    share = min(max((value - low) / (high - low), 0.0), 1.0) if high > low else 0.5
    place = share * (len(stops) - 1)
    left = min(int(place), len(stops) - 2)
    rgb = [round(a + (b - a) * (place - left)) for a, b in zip(stops[left], stops[left + 1], strict=True)]
    luminance = sum(w * (c / 255) ** 2.2 for w, c in zip((0.2126, 0.7152, 0.0722), rgb, strict=True))
    return "#{:02x}{:02x}{:02x}".format(*rgb), "#000000" if luminance > 0.18 else "#ffffff"


def measure(value: float, colour: str) -> str:
    """A number in the words of its kind: 93%, +0.2, −6.1."""
    if colour in ("policy", "guided"):
        return percent(value)
    return ("+" if colour == "advantage" and value >= 0.005 else "") + number(value)


def percent(share: float) -> str:
    """'93%', '4.2%', '<0.1%'."""
    return f"{share:.0%}" if share >= 0.0995 or not share else f"{share:.1%}" if share >= 0.001 else "<0.1%"


def shown(token: str) -> str:
    """A token's text on one line, with a sign for what cannot be seen."""
    if not token.strip(" "):
        return "␣" * len(token) or "∅"
    signs = {"\n": "↵", "\t": "⇥"}
    return "".join(signs.get(c) or (c if c.isprintable() else f"\\x{ord(c):02x}") for c in token)


def draw_tokens(frame, turns, current: int, colour: str, around: int = 5) -> str:
    """The tokens in reading order, a line a turn; `current`: the row of `frame` that is chosen, an action token.

    Only turns near the chosen token are given, and of a long turn the part that matters. `turns`: of the episode.
    """
    ends, here = limits(frame, colour), int(frame["turn"].iloc[current])
    first, last = max(0, here - around), min(len(turns), here + around + 1)
    part = frame[frame["turn"].between(first, last - 1)]
    lines: dict[int, list[tuple[int, str]]] = {}  # turn -> (row of the frame, chip)
    for place, token, turn, is_action, value, disagree in zip(
            part.index, part["token"], part["turn"], part["is_action"], part[colour], part["disagree"], strict=True):
        chip = _chip(shown(token), value, colour, ends, place == current, disagree) if is_action else (
            f'<span style="border:1px solid {LINE};border-radius:3px;padding:0 4px">{escape(shown(token))}</span>')
        lines.setdefault(turn, []).append((place, chip))
    body = [] if not first else [_note(f"… {first} turns before")]
    for turn, chips in lines.items():
        middle = current if turn == here else chips[-1][0]  # of another turn its end is nearest to what is chosen
        begin = min(max(0, middle - chips[0][0] - LINE_TOKENS // 2), max(0, len(chips) - LINE_TOKENS))
        row = [chip for _, chip in chips[begin:begin + LINE_TOKENS]]
        row = ["…"] * (begin > 0) + row + ["…"] * (begin + LINE_TOKENS < len(chips))
        who = "agent" if turns[turn].is_action else "game"
        if turns[turn].is_action:
            row.append(f'<span style="color:{FAINT};padding-left:4px">[{number(turns[turn].reward)}]</span>')
        shade = f"background:{PANEL};" if turn == here else ""
        body.append(f'<div style="display:flex;padding:3px 4px;border-radius:4px;{shade}"><span style="color:{FAINT};{SANS};'
                    f'font-size:11px;flex:0 0 40px;padding-top:2px">{who}</span> <div style="display:flex;flex-wrap:wrap;'
                    f'gap:3px 4px;align-items:flex-start;white-space:pre">{" ".join(row)}</div></div>')
    if last < len(turns):
        body.append(_note(f"… {len(turns) - last} turns after"))
    return (f'<div role="group" aria-label="Tokens of turns {first} to {last - 1}" style="color:{INK};background:{PAPER};{MONO};'
            f'font-size:13px;line-height:1.45">{"".join(body)}</div>')


def _chip(token: str, value: float, colour: str, ends, chosen: bool, disagree: bool) -> str:
    back, ink = tint(value, colour, ends)
    outline, now = (f";outline:3px solid {CHOSEN};outline-offset:1px", ' aria-current="true"') if chosen else ("", "")
    return (f'<span style="text-align:center"{now}><b style="display:block;border:2px solid;border-radius:4px{outline}">'
            f'<span style="display:block;background:{back};color:{ink};padding:0 5px">{escape(token)}</span></b> '
            f'<span style="font-size:11px">{"▲ " * chosen}{escape(measure(value, colour))}{" ≠" * disagree}</span></span>')


def _note(words: str) -> str:
    return f'<div style="color:{FAINT};padding:2px 4px">{words}</div>'


def draw_legend(frame, colour: str) -> str:
    """The scale of the colours with its ends, and what the marks mean."""
    low, high = limits(frame, colour)
    values = [low + (high - low) * k / 8 for k in range(9)] if high > low else [low]
    boxes = "".join(f'<span style="width:20px;background:{tint(value, colour, (low, high))[0]}">&#160;</span>'
                    for value in values)
    differ = "; ≠: the two policies' likeliest tokens differ" if frame["disagree"].any() else ""
    scale = (f'<span>{escape(measure(low, colour))}</span> <span style="display:flex;border:1px solid {LINE}">{boxes}</span> '
             f'<span>{escape(measure(high, colour))}</span>')
    marks = f"thick frame: action token, its number below; ▲: the chosen one{differ}; [ ]: reward"
    return card(f'<div>colour: {escape(MEASURES[colour])}</div><div style="display:flex;gap:8px">{scale}</div>'
                f'<div style="color:{FAINT}">{marks}</div>', "font-size:12px;margin-top:10px;max-width:380px")


def draw_alternatives(table, beta: float) -> str:
    """The tokens that could have stood here, with their probabilities side by side; ✓ marks the one that was taken.

    beta: of the guided policy; with 0 the two policies are one.
    """
    cell = "padding:2px 10px 2px 0;text-align:left;vertical-align:middle;background:none;white-space:nowrap"
    both, valued = beta > 0, bool(table["q"].notna().any())
    body = ""
    for token, policy, guided, q, taken in table.itertuples(index=False):
        name = shown(token) if len(shown(token)) <= LONG_NAME else shown(token)[:LONG_NAME - 1] + "…"
        name = f"<b>✓ {escape(name)}</b>" if taken else f"&#160;&#160;{escape(name)}"
        shade = PANEL if taken else "none"
        body += f'<tr style="background:{shade}"><td style="{cell};{MONO};font-size:13px;white-space:pre">{name}</td>'
        body += f'<td style="{cell}">{_bar(policy, POLICY)}</td>'
        body += f'<td style="{cell}">{_bar(guided, GUIDED)}</td>' if both else ""
        body += f'<td style="{cell};text-align:right">{number(q)}</td></tr>' if valued else "</tr>"
    titles = ["token (✓ taken)", "policy alone", *[f"guided, β = {beta:g}"] * both, *["Q"] * valued]
    head = "".join(f'<th scope="col" style="{cell};font-weight:600;color:{FAINT};font-size:12px">{title}</th>'
                   for title in titles)
    return card(f'<table aria-label="What could have stood here" style="border-collapse:collapse;margin:2px 0"><thead>'
                f'<tr style="background:none">{head}</tr></thead><tbody>{body}</tbody></table>')


def _bar(share: float, fill: str) -> str:
    return (f'<span style="display:inline-block;width:60px;margin-right:6px;border:1px solid {LINE}"><span style="display:block;'
            f'height:9px;background:{fill};width:{100 * share:.1f}%"></span></span>{escape(percent(share))}')
