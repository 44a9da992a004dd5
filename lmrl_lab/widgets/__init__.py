"""Widgets: play a game by hand, replay an Episode, watch a training curve grow, look into an agent. No torch on import.

Names are handed on lazily, so that `lmrl_lab.widgets.draw` can be used without ipywidgets.
"""

import importlib

_HOMES = {"play": "player", "Player": "player", "replay": "replayer", "Replayer": "replayer", "LiveCurve": "live",
          "inspect_tokens": "inspector", "Inspector": "inspector"}
__all__ = list(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
