"""The command line: `python -m lmrl_lab generate|train|evaluate|benchmark|leaderboard|doctor`, the verbs of the notebooks."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lmrl_lab.chat import SimulatorError


def _context(text: str) -> str | int:
    return int(text) if text.lstrip("-").isdigit() else text


def _setting(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=VALUE")
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            pass
    return name, value


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m lmrl_lab", description="Multi-turn RL with language models, from a shell.")
    verbs = top.add_subparsers(dest="verb", required=True)

    p = verbs.add_parser("generate", help="write behaviour data to a file")
    p.add_argument("task")
    p.add_argument("--size", type=int, help="episodes (default: the task's own number)")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--out", type=Path, required=True, metavar="FILE", help=".jsonl or .jsonl.gz")

    p = verbs.add_parser("train", help="train an agent into a run folder")
    p.add_argument("algorithm")
    p.add_argument("task")
    p.add_argument("--data", type=Path, metavar="FILE", help="Episodes (default: generated with seed 0)")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--model", metavar="PATH", help="a causal language model (default: a tiny GPT-2 from nothing)")
    p.add_argument("--init", type=Path, metavar="DIR", help="the cloned agent to start from (mc, ilql; default: trains one)")
    p.add_argument("--context", type=_context, help="turn, episode, or a number of earlier turns")
    p.add_argument("--out", type=Path, required=True, metavar="DIR")
    p.add_argument("--resume", action="store_true", help="go on from the folder's checkpoint")
    p.add_argument("--set", type=_setting, action="append", default=[], metavar="NAME=VALUE", dest="settings",
                   help="a setting of the algorithm, say steps=100; may be repeated")

    p = verbs.add_parser("evaluate", help="play with an agent or a scripted policy and print its score")
    p.add_argument("agent", help="a run folder, a saved agent, the name of a scripted policy, or a language model that is told "
                                 "the rules: chat:MODEL[@URL] or transformers:PATH")
    p.add_argument("task", nargs="?", help="needed for scripted policies and language models")
    p.add_argument("--episodes", type=int)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--temperature", type=float, help="1 samples, 0 is greedy (default: as saved)")
    p.add_argument("--beta", type=float, help="weight of the values, 0: the policy alone (default: as saved)")
    p.add_argument("--min-p", type=float, help="draw only tokens with this share of the likeliest one's probability")
    p.add_argument("--legal-only", action="store_true", help="choose among legal actions only")
    p.add_argument("--examples", type=int, default=0, metavar="K", help="good games that a language model is shown (default: 0)")
    p.add_argument("--simulator", metavar="SPEC", help="who is the partner in a dialogue: chat:MODEL[@URL] or transformers:PATH")
    p.add_argument("--save-episodes", type=Path, metavar="FILE", help="a .jsonl file keeps each game as soon as it is finished")
    p.add_argument("--resume", action="store_true", help="go on with the games of that file")

    p = verbs.add_parser("benchmark", help="train and evaluate every algorithm on every task and seed, and write the table; "
                                           "the same command goes on where it was stopped")
    p.add_argument("--tasks", nargs="+", metavar="TASK", help="default: all")
    p.add_argument("--algorithms", nargs="+", metavar="ALGORITHM", help="default: the paper's, all that train but grpo")
    p.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="SEED", help="default: 0 1 2")
    p.add_argument("--episodes", type=int, help="games of an evaluation (default: the task's own number)")
    p.add_argument("--set", type=_setting, action="append", default=[], metavar="ALGORITHM.NAME=VALUE", dest="settings",
                   help="a setting of an algorithm on all tasks, say ppo.updates=5; may be repeated")
    p.add_argument("--few-shot", metavar="SPEC", help="a language model that plays too: chat:MODEL[@URL] or transformers:PATH")
    p.add_argument("--examples", type=int, default=0, metavar="K", help="good games that it is shown (default: 0)")
    p.add_argument("--shard", default="1/1", metavar="I/N", help="only the I-th of N parts; they may run at the same time")
    p.add_argument("--out", type=Path, default=Path("runs/benchmark"), metavar="DIR", help="default: runs/benchmark")
    p.add_argument("--csv", type=Path, metavar="FILE", help="the table, beside it FILE_table (default: DIR/benchmark.csv)")
    p.add_argument("--list", action="store_true", help="say what is done, and run nothing")

    p = verbs.add_parser("leaderboard", help="people's games and agents that a class handed in, checked, played and compared")
    p.add_argument("folder", type=Path, help="FOLDER/<student>/*.jsonl: games; FOLDER/<student>/<name>/: an agent")
    p.add_argument("task")
    p.add_argument("--seeds", type=int, nargs="+", metavar="SEED", help="the games that people were told to play (default: any)")
    p.add_argument("--episodes", type=int, help="games of each agent (default: the task's own number)")
    p.add_argument("--seed", type=int, default=1, help="of the agents' games")
    p.add_argument("--set", type=_setting, action="append", default=[], metavar="NAME=VALUE", dest="settings",
                   help="a keyword of the game, say opponent=built-in; may be repeated")
    p.add_argument("--csv", type=Path, metavar="FILE", help="write the table, too")
    p.add_argument("--picture", type=Path, metavar="FILE", help="write the figure, a .png")

    verbs.add_parser("doctor", help="versions, device, and what is missing")
    return top


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        return globals()[f"_{options.verb}"](options)
    except (ValueError, OSError, FloatingPointError, SimulatorError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        print(f"stopped: {error}", file=sys.stderr)
        return 130


def _check_new_episode_file(path: Path) -> None:
    if path.exists():
        raise FileExistsError(f"{path} exists; nothing was written")
    if not path.name.endswith((".jsonl", ".jsonl.gz")):
        raise ValueError(f"{path}: episodes are written to .jsonl or .jsonl.gz")


def _generate(options) -> int:
    from lmrl_lab.data import generate
    from lmrl_lab.episode import write_episodes
    _check_new_episode_file(options.out)
    episodes = generate(options.task, options.size, options.seed)
    write_episodes(options.out, episodes)
    print(f"{len(episodes)} episodes of {options.task} in {options.out}")
    return 0


def _train(options) -> int:
    from lmrl_lab.algorithms import train
    from lmrl_lab.episode import read_episodes
    episodes = read_episodes(options.data, options.task) if options.data else None

    def tell(row, history):
        print(f"step {row['step']:6d}  loss {row['loss']:.4f}  {row['seconds']:6.1f} CPU s", flush=True)

    init = None
    if options.init:
        from lmrl_lab.agent import load_agent
        init = load_agent(options.init)
    train(options.algorithm, options.task, episodes, seed=options.seed, init=init, model=options.model, context=options.context,
          out=options.out, resume=options.resume, callback=tell, **dict(options.settings))
    from lmrl_lab.training import processes
    group = processes()
    group.print(f"the agent is in {options.out / 'agent'}")  # once, however many processes there are
    group.wait_for_everyone()
    group.destroy_process_group()  # left to the interpreter's exit, its threads abort one run of some twenty
    return 0


def _evaluate(options) -> int:
    from lmrl_lab.episode import write_episodes
    from lmrl_lab.evaluation import evaluate
    from lmrl_lab.files import write_atomically
    file = options.save_episodes
    as_played = file if file and file.suffix == ".jsonl" else None
    if options.resume and not as_played:
        raise ValueError("--resume goes on with the games of --save-episodes FILE.jsonl")
    model = _is_model(options.agent) or options.simulator not in (None, "scripted")
    if file and model and not as_played:
        raise ValueError(f"{file}: what a language model plays or answers is kept as it is played, in a plain .jsonl file")
    if file and not options.resume:
        _check_new_episode_file(file)
    policy, task = _player(options)
    keywords = {"simulator": options.simulator} if options.simulator else {}
    try:
        result, episodes = evaluate(policy, task, options.episodes, options.seed, return_episodes=True, save_to=as_played,
                                    **keywords)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"the finished games are kept in {file}; the same with --resume goes on from there" if as_played
                                else "no game is kept; --save-episodes FILE.jsonl keeps those that are finished") from None
    print(result)
    if (Path(options.agent) / "config.json").exists() and not keywords:  # a run folder holds the score of the usual game
        write_atomically(Path(options.agent) / "score.json", result.to_json())
    if file and not as_played:
        write_episodes(file, episodes)
    return 0


def _is_model(agent: str) -> bool:
    return agent.startswith(("chat:", "transformers:"))


def _player(options) -> tuple:
    """(an agent, a policy or the name of one, its task) from the arguments of `evaluate`."""
    folder, task = Path(options.agent), options.task
    changes = {"temperature": options.temperature, "beta": options.beta, "min_p": options.min_p,
               "legal_only": options.legal_only or None}
    changes = {name: value for name, value in changes.items() if value is not None}
    model = _is_model(options.agent)
    if options.examples and not model:
        raise ValueError("--examples are for language models")
    if folder.exists():
        from lmrl_lab.agent import load_agent
        agent = load_agent(folder)
        return agent.with_decoding(**changes), task or agent.task
    if task is None:
        raise ValueError(f"there is no folder '{folder}'; for a scripted policy or a language model name the task too")
    if model:
        from lmrl_lab.data import examples
        from lmrl_lab.simulators import ChatPolicy
        if changes.keys() - {"temperature"}:
            raise ValueError("--beta, --min-p and --legal-only are for agents, not for language models")
        return ChatPolicy(options.agent, task, examples(task, options.examples), **changes), task
    if changes:
        raise ValueError("--temperature, --beta, --min-p and --legal-only are for agents, not for scripted policies")
    return options.agent, task


def _benchmark(options) -> int:
    import torch

    from lmrl_lab.benchmark import Benchmark, read_shard
    torch.set_num_threads(1)  # what runs beside it counts on that, and seconds are comparable
    settings: dict[str, dict] = {}
    for name, value in options.settings:
        algorithm, dot, setting = name.partition(".")
        if not dot:
            raise ValueError(f"'{name}' is not ALGORITHM.NAME: a setting belongs to an algorithm, say ppo.updates=5")
        settings.setdefault(algorithm, {})[setting] = value
    shard = read_shard(options.shard)
    benchmark = Benchmark(options.out, options.tasks, options.algorithms, options.seeds, options.episodes, settings,
                          options.few_shot, options.examples)
    if options.list:
        print("\n".join(benchmark.listed(shard)))
        return 0
    try:
        failed = benchmark.run(shard, options.csv, tell=lambda line: print(line, flush=True))
    except KeyboardInterrupt:
        raise KeyboardInterrupt("the same command goes on from here") from None
    print(benchmark.summary())
    for line in failed:
        print(f"error: {line}", file=sys.stderr)
    return 1 if failed else 0


def _leaderboard(options) -> int:
    from lmrl_lab.scoreboard import leaderboard
    board = leaderboard(options.folder, options.task, options.seeds, options.episodes, options.seed, **dict(options.settings))
    print(board)
    if options.csv:
        board.table.to_csv(options.csv)
    if options.picture:
        board.picture.save(options.picture)
    return 0


def _doctor(options) -> int:
    from lmrl_lab.checkup import doctor, look
    doctor(verbose=True)
    return 1 if look()[0] else 0


if __name__ == "__main__":
    sys.exit(main())
