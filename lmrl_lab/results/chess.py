"""The experiments on chess and chess endgames; `__main__` runs them by name and writes what they return."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from dataclasses import replace

import chess
import numpy as np
import pandas as pd

from lmrl_lab.agent import Agent
from lmrl_lab.algorithms import configured, train
from lmrl_lab.algorithms.bc import BCConfig, train_bc
from lmrl_lab.algorithms.online import game_seeds
from lmrl_lab.data import generate
from lmrl_lab.env import TASKS
from lmrl_lab.episode import Turn
from lmrl_lab.evaluation import bootstrap_interval, evaluate
from lmrl_lab.models import tiny_model
from lmrl_lab.results import FOLDER, once, trained
from lmrl_lab.results import agent as committed
from lmrl_lab.rollout import rollout
from lmrl_lab.tasks import chess as chess_task
from lmrl_lab.tasks import chess_engine, chess_tables

DECODINGS = {"sampled": {}, "min-p .1": {"min_p": 0.1}, "greedy": {"temperature": 0}, "legal only": {"legal_only": True}}
# name: algorithm, settings, and what it starts from and tilts: another of these, or nothing
METHODS = {"bc": ("bc", {}, None), "filtered_bc": ("filtered_bc", {}, None), "mc": ("mc", {}, "bc"), "ilql": ("ilql", {}, "bc"),
           "mc on filtered_bc": ("mc", {}, "filtered_bc"), "ilql on filtered_bc": ("ilql", {}, "filtered_bc")}
CODE = chess_task, chess_engine, chess_tables, sys.modules[__name__]
FULL = list(METHODS)[:4]  # of full chess, where the filtered clone is the worse one
LADDER = ((100, 800, 128), (800, 800, 128), (3_000, 800, 128), (3_000, 800, 64))  # full chess: games, steps, width of BC
AS_THEY_ARE = {"reward_scale": 1.0, "kl_coef": 0.05}  # kl_coef goes with the rewards: fifty times the card's
PPO = {"card": {}, "discount .99": {"gamma": 0.99}, "rewards not scaled": AS_THEY_ARE,
       "rewards not scaled, discount .99": {**AS_THEY_ARE, "gamma": 0.99},
       "rewards not scaled, V's loss scaled": {**AS_THEY_ARE, "vf_coef": 0.5 * 0.02**2}}  # it goes with their square
GAMES, STEPS = (100, 1_000, 30_000), 300  # of BC in the endgames


def chess_endgames(seeds: list[int]) -> dict[str, pd.DataFrame]:
    """Six methods at default settings on the 645 test positions against the exact defence, drawn four ways; what values say, by
    distance to mate; of the first seed, the clones and how BC's illegal moves go away as it trains. See `once`."""
    rows, values = [], []
    for seed in seeds:
        agents = {}
        agent = functools.partial(trained, methods=METHODS, task="chess-endgames", seed=seed, agents=agents,
                                  episodes=functools.partial(generate, "chess-endgames", seed=seed))
        for name in METHODS:
            rows += once(f"endgames-{name}-{seed}", lambda name=name, seed=seed, agent=agent: endgame_rows(
                agent(name), name, seed), *CODE)
            told = pd.DataFrame(rows[-len(DECODINGS):]).drop(columns=["success_low", "success_high", "interval_low",
                                                                      "interval_high"])
            print(told.round(3).to_string(index=False, header=name == "bc"), flush=True)
        for name in ("mc", "ilql"):
            values += once(f"endgames-values-{name}-{seed}", lambda name=name, agent=agent: values_by_distance(
                agent(name)).assign(algorithm=name).to_dict("records"), *CODE)
        if seed == seeds[0]:
            falling = once(f"endgames-curve-{seed}", functools.partial(illegal_while_training, seed), *CODE)
            for name in ("bc", "filtered_bc"):
                agent(name).save(FOLDER / f"{name}-chess-endgames")
    return {"chess_endgames": pd.DataFrame(rows), "chess_endgames_values": pd.DataFrame(values),
            "chess_endgames_curves": pd.DataFrame(falling)}


def endgame_rows(agent: Agent, name: str, seed: int) -> list[dict]:
    return [{"algorithm": name, "seed": seed, "decoding": how, **endgame_row(agent.with_decoding(**decoding), seed),
             "cpu_seconds": agent.spent} for how, decoding in DECODINGS.items()]


def endgame_row(agent: Agent, seed: int) -> dict:
    """Victories with a 95% interval, also for each piece set; illegal share of the moves; return."""
    score, played = evaluate(agent, "chess-endgames", seed=seed, return_episodes=True)
    won = np.array([episode.success for episode in played], float)
    sets = np.array([chess_tables.pieces_of(chess.Board(episode.info["options"]["fen"])) for episode in played])
    low, high = bootstrap_interval(won)
    return {"success_rate": score.success_rate, "success_low": low, "success_high": high,
            **{f"success_{pieces}": won[sets == pieces].mean() for pieces in chess_tables.PIECE_SETS},
            "invalid_rate": score.invalid_rate, "mean_return": score.mean_return, "interval_low": score.interval[0],
            "interval_high": score.interval[1], "mean_length": score.mean_length}


def said_first(agent: Agent) -> dict[str, float]:
    """What the agent says, one sample a test position: share of illegal texts, and of each kind of them."""
    fens = chess_task.test_positions()
    player = agent.with_decoding(temperature=1.0)
    player.reset(list(range(len(fens))))
    actions = player.act([chess_task.spell(fen) + "\n" for fen in fens], [{}] * len(fens))
    kinds = [chess_task.why_illegal(chess.Board(fen), action) for fen, action in zip(fens, actions, strict=True)]
    shares = {kind: kinds.count(kind) / len(kinds) for kind in chess_task.KINDS}
    return {"illegal": 1 - kinds.count("legal") / len(kinds), **shares}


def illegal_while_training(seed: int) -> list[dict]:
    episodes = generate("chess-endgames", seed=seed)
    history = train("bc", "chess-endgames", episodes, seed=seed, probe=said_first, probe_every=100).history
    asked = history.dropna(subset="illegal").assign(games=len(episodes), seed=seed)
    return asked[["games", "step", "seed", "loss", "illegal", *chess_task.KINDS]].to_dict("records")


def chess_endgames_illegal(seeds: list[int]) -> dict[str, pd.DataFrame]:
    """How often BC's first move in a test position is illegal, and why, from fewer games and STEPS gradient steps."""
    rows = []
    for seed in seeds:
        episodes = generate("chess-endgames", seed=seed)
        for games in GAMES:
            agent = train("bc", "chess-endgames", episodes[:games], seed=seed, steps=STEPS)
            loss = agent.history["loss"].iloc[-1]
            rows.append({"games": games, "steps": STEPS, "seed": seed, "loss": loss, **said_first(agent)})
            print(rows[-1], flush=True)
    return {"chess_endgames_illegal": pd.DataFrame(rows)}


def chess_endgames_texts(seeds: list[int]) -> dict[str, pd.DataFrame]:
    """BC for about half a CPU minute on two spellings of a position: a token a piece (the card's), or a token a square."""
    card, rows = TASKS["chess-endgames"], []
    board = {"model_text": squares_text, "vocabulary": (*chess_task.PIECES, ".", "-", *chess_task.SPELLING[5:]),
             "turn_tokens": 69 + 64}
    for seed in seeds:
        episodes = generate("chess-endgames", 4_000, seed=seed)
        for text, own, steps in (("pieces", card, 600), ("squares", replace(card, **board), 60)):
            model, codec = tiny_model(own, "turn", seed, **card.network)
            config = BCConfig(**{**card.settings.get("bc", {}), "steps": steps})
            agent = train_bc(card.id, episodes, model, codec, "turn", config, seed=seed)
            rows.append({"text": text, "seed": seed, "tokens": len(codec.encode(episodes[0].turns)[0]), "steps": steps,
                         "cpu_seconds": agent.history["seconds"].iloc[-1], "loss": agent.history["loss"].iloc[-1],
                         **said_first(agent)})
            print(rows[-1], flush=True)
    return {"chess_endgames_texts": pd.DataFrame(rows)}


def squares_text(turns: list[Turn]) -> list[str]:
    """A token a square from a8 to h1, then the four castling rights (`-` where lost) and the square for en passant or `-`."""
    out = []
    for turn in turns:
        if turn.is_action:
            out.append(chess_task.spell(turn.text.replace(" ", "")))
            continue
        placement, _, castling, en_passant, _, _ = chess_task.read_fen(turn.text).split(" ")
        squares = "".join("." * int(c) if c.isdigit() else c for c in placement.replace("/", ""))
        out.append(" ".join([*squares, *(c if c in castling else "-" for c in "KQkq"), *en_passant]))
    return out


def values_by_distance(agent: Agent) -> pd.DataFrame:
    """Q of every legal move in the test positions, at its last token, by White's moves to mate after it (0: it mates;
    255: the win is gone): how many, mean, and the 10 and 90% quantiles."""
    found = []
    fens = chess_task.test_positions()
    boards = [chess.Board(fen) for fen in fens]
    legal = [list(board.legal_moves) for board in boards]
    spelled = [[agent.codec.action_ids(chess_task.spell(board.san(move))) for move in moves]
               for board, moves in zip(boards, legal, strict=True)]
    asked = [[Turn(chess_task.spell(fen) + "\n", False)] for fen in fens]
    for board, moves, (_, q) in zip(boards, legal, agent.score_actions(asked, spelled), strict=True):
        found += zip(chess_tables.distances_after(board, moves), q.tolist(), strict=True)
    frame = pd.DataFrame(found, columns=["distance", "q"])
    grouped = frame.groupby("distance")["q"]
    return pd.DataFrame({"moves": grouped.size(), "q": grouped.mean(), "q_low": grouped.quantile(0.1),
                         "q_high": grouped.quantile(0.9)}).reset_index()


def full_chess(seeds: list[int]) -> dict[str, pd.DataFrame]:
    """Against the built-in engine: four methods at default settings, drawn three ways; BC with fewer games, fewer steps
    and half the width; by move number, how often the first seed's clone is illegal in recorded positions that it
    was not trained on. See `once`."""
    rows, kinds = [], []
    for seed in seeds:
        agent = functools.partial(trained, methods=METHODS, task="chess", seed=seed, agents={},
                                  episodes=functools.partial(generate, "chess", seed=seed))
        for name in FULL:
            rows += once(f"chess-{name}-{seed}", lambda name=name, seed=seed, agent=agent: chess_rows(
                agent(name), seed, {"algorithm": name, "seed": seed}), *CODE)
            print(pd.DataFrame(rows[-3:]).round(3).to_string(index=False), flush=True)
        for rung in LADDER:
            rows += once(f"chess-ladder-{rung}-{seed}", functools.partial(ladder_rows, rung, seed), *CODE)
            print(rows[-1], flush=True)
        if seed == seeds[0]:
            agent("bc").save(FOLDER / "bc-chess")
            kinds = once(f"chess-kinds-{seed}", lambda seed=seed, agent=agent: moves_told(agent("bc"), other_games(seed)).assign(
                seed=seed).to_dict("records"), *CODE)
    return {"chess": pd.DataFrame(rows), "chess_kinds": pd.DataFrame(kinds)}


def other_games(seed: int) -> list:
    """Recorded games that no agent of this seed is trained on."""
    return generate("chess", 40, seed=1_000 + seed)


def chess_rows(agent: Agent, seed: int, row: dict,
               decodings: Sequence[str] = ("sampled", "min-p .1", "legal only")) -> list[dict]:
    """A row a decoding. `seen`: share of illegal texts in recorded positions; `played`: in the agent's own games."""
    seen, rows = (moves_told(agent, other_games(seed))["why"] != "legal").mean(), []
    for how in decodings:
        score = evaluate(agent.with_decoding(**DECODINGS[how]), "chess", 64, seed, opponent="built-in")
        rows.append({**row, "decoding": how, "seen": seen, "played": score.invalid_rate, "mean_return": score.mean_return,
                     "interval_low": score.interval[0], "interval_high": score.interval[1], "success_rate": score.success_rate,
                     "mean_length": score.mean_length, "cpu_seconds": agent.spent})
    return rows


def ladder_rows(rung: tuple[int, int, int], seed: int) -> list[dict]:
    """BC with so many games, gradient steps, and of this width, all else as the card says."""
    (games, steps, width), card = rung, TASKS["chess"]
    model, codec = tiny_model(card, "turn", seed, **{**card.network, "width": width})
    config = BCConfig(**{**card.settings["bc"], "steps": steps})
    agent = train_bc("chess", generate("chess", seed=seed)[:games], model, codec, "turn", config, seed=seed)
    agent.spent = agent.history["seconds"].iloc[-1]
    told = {"algorithm": "bc", "seed": seed, "games": games, "steps": steps, "width": width}
    return chess_rows(agent, seed, told, decodings=("sampled",))


def moves_told(agent: Agent, episodes: list) -> pd.DataFrame:
    """One sampled text in each position of these games: the move's number (from 0), and "legal" or what is wrong with it."""
    asked = [(k, text) for episode in episodes for k, text in enumerate(episode.observations[:len(episode.actions)])]
    asked = [asked[i] for i in np.random.default_rng(0).permutation(len(asked))[:600]]
    agent.reset(list(range(len(asked))))
    said = agent.act([text for _, text in asked], [{}] * len(asked))
    return pd.DataFrame([{"move": k, "why": chess_task.why_illegal(chess.Board(chess_task.read_fen(text)), action)}
                         for (k, text), action in zip(asked, said, strict=True)])


def chess_ppo(seeds: list[int]) -> dict[str, pd.DataFrame]:
    """PPO in whole games against the built-in engine from the committed clone: the card's settings, and what a discount below 1
    and rewards that are not scaled down do to it; a row a round, with what the texts of its games are like. See `once`."""
    rows = []
    for seed in seeds:
        for name in PPO:
            rows += once(f"chess-ppo-{name}-{seed}", functools.partial(ppo_rounds, name, seed), *CODE)
            print(pd.DataFrame(rows[-1:]).round(3).to_string(index=False), flush=True)
    return {"chess_ppo": pd.DataFrame(rows)}


def ppo_rounds(name: str, seed: int, rounds: int = 16) -> list[dict]:
    from lmrl_lab.algorithms.ppo import MultiTurnPPOTrainer  # needs TRL
    said = []

    class Watched(MultiTurnPPOTrainer):
        def play(self, update):
            games = rollout(self.agent, "chess", game_seeds(self.seed, update, self.config.episodes_per_update),
                            outgrown="cut", opponent="built-in")
            texts = [turn for game in games for turn in game.turns if turn.is_action]
            said.append({"texts": len(texts), "text_tokens": np.mean([len(turn.logprobs) for turn in texts]),
                         "illegal": sum(game.info["invalid"] for game in games) / len(texts)})
            return games

    trainer = Watched(committed("bc-chess"), configured("ppo", "chess", {"updates": rounds, **PPO[name]}), seed=seed)
    trainer.train()
    kept = ["step", "mean_return", "entropy", "kl", "value_error", "grad_norm", "tokens", "seconds"]
    return [{"setting": name, "seed": seed, **row, **own}
            for row, own in zip(trainer.history[kept].to_dict("records"), said, strict=True)]


EXPERIMENTS = {"chess": full_chess, "chess_ppo": chess_ppo, "chess_endgames": chess_endgames,
               "chess_endgames_illegal": chess_endgames_illegal, "chess_endgames_texts": chess_endgames_texts}
