"""How the widget tests drive a widget from Python, as the browser does, and look at what it shows."""

import re
import xml.etree.ElementTree as ET

START = {"start": (5, 3)}
WAY = ["move right"] * 3 + ["move down"] * 3  # from START to the goal: return -5


class Oracle:
    """Stands for an agent with values: four actions, the first the likeliest; walks WAY."""

    name = "oracle"

    def __init__(self):
        self.asked = []

    def top_actions(self, turns, legal_actions, n=5):
        self.asked.append((list(turns), legal_actions))
        best = WAY[len(turns) // 2 % len(WAY)]
        others = [action for action in legal_actions if action != best]
        return [{"action": action, "probability": p, "value": v}
                for action, p, v in zip([best, *others], (0.9, 0.05, 0.02, 0.0001), (-1.5, -8.25, -9, None))][:n]


def enter(box, text):
    """What a browser sends when Enter is pressed: first the message, then the value if it is a new one."""
    box._handle_custom_msg({"event": "submit"}, [])
    if text != box.value:
        box.value = text


def click(widget, words):
    [button] = [b for b in all_of(widget.box) if getattr(b, "description", "") == words and hasattr(b, "click")]
    assert not button.disabled and button.layout.display != "none", f"'{words}' cannot be clicked now"
    button.click()


def all_of(box):
    yield box
    for child in getattr(box, "children", ()):
        yield from all_of(child)


def html_of(widget):
    """All that the widget shows, as one string."""
    return "\n".join(str(w.value) for w in all_of(widget.box) if type(w).__name__ == "HTML")


def pictures(html):
    """The <svg> parts, parsed: a picture that is no well-formed XML is an error here."""
    return [ET.fromstring(part) for part in re.findall(r"<svg .*?</svg>", html, re.DOTALL)]


def said(widget):
    [live] = re.findall(r'<div role="status".*</div>', widget.status.value)
    return live
