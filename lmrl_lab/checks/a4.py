"""Checks of assignment A4, PPO and generalised advantage estimation. `seed` chooses the cases that are drawn at random; what is
expected there comes from the slow loops in this file."""

from __future__ import annotations

import math
import random

from lmrl_lab.checks import Result, close, compare, failed, passed, raised, rounded


def token_rewards(function, seed: int = 0) -> Result:
    """A function (rewards, lengths, logprobs, ref_logprobs, kl_coef) -> (N,) what PPO sees at each action token."""
    rng = random.Random(seed)

    def row(case, rewards, lengths, logprobs, reference, coefficient, expected):
        return case, {"rewards": rewards, "lengths": lengths, "logprobs": logprobs, "ref_logprobs": reference,
                      "kl_coef": coefficient}, expected

    table = [
        row("no penalty: the reward stands on the LAST token of its action", [-1.0, 4.0], [2, 3], [0.0] * 5, [0.0] * 5, 0.0,
            [0.0, -1.0, 0.0, 0.0, 4.0]),
        row("the penalty stands on EVERY token: .5 (log pi - log ref)", [-1.0, 0.0], [1, 2], [-1.0, -2.0, -1.0],
            [-2.0, -2.0, -3.0], 0.5, [-1.5, 0.0, -1.0]),
        row("what the reference finds likelier is paid for", [0.0], [1], [-3.0], [-1.0], 0.1, [0.2]),
        row("actions of one token each", [-1.0, -2.0, -3.0], [1, 1, 1], [0.0] * 3, [0.0] * 3, 0.3, [-1.0, -2.0, -3.0]),
    ]
    lengths = [rng.randrange(1, 4) for _ in range(5)]
    rewards = [float(rng.randrange(-4, 3)) for _ in lengths]
    new, old = [[round(rng.gauss(-1, 0.5), 2) for _ in range(sum(lengths))] for _ in range(2)]
    slow = [-0.2 * (p - q) for p, q in zip(new, old, strict=True)]
    for k, reward in enumerate(rewards):
        slow[sum(lengths[:k + 1]) - 1] += reward
    table.append(row("five actions drawn at random", rewards, lengths, new, old, 0.2, slow))
    return compare("token_rewards", function, table) or passed("token_rewards", "Five cases")


def packed_gae(function, seed: int = 0) -> Result:
    """A function (rewards, values, mask, after, gamma, lam) -> (B, T) advantages, 0 where the mask is False."""
    rng = random.Random(seed)

    def row(case, rewards, values, mask, after, gamma, lam, expected):
        return case, {"rewards": rewards, "values": values, "mask": [[bool(m) for m in line] for line in mask], "after": after,
                      "gamma": gamma, "lam": lam}, expected

    table = [
        row("one action token, over: -1 + 0 - 3", [[0.0, -1.0]], [[9.0, 3.0]], [[0, 1]], [0.0], 0.5, 0.5, [[0.0, -4.0]]),
        row("the same, cut where the value is 4: -1 + .5 * 4 - 3", [[0.0, -1.0]], [[9.0, 3.0]], [[0, 1]], [4.0], 0.5, 0.5,
            [[0.0, -2.0]]),
        row("the game's own tokens between two actions do not discount and have no value: -1 + .5 * 2 - 1 + .25 * -2",
            [[0.0, -1.0, 0.0, 0.0, 0.0]], [[9.0, 1.0, 9.0, 9.0, 2.0]], [[0, 1, 0, 0, 1]], [0.0], 0.5, 0.5,
            [[0.0, -1.5, 0.0, 0.0, -2.0]]),
        row("padding at the end is nothing", [[-1.0, 0.0, 0.0]], [[3.0, 9.0, 9.0]], [[1, 0, 0]], [4.0], 0.5, 0.9,
            [[-2.0, 0.0, 0.0]]),
        row("two rows, each by itself", [[-1.0, 0.0], [0.0, 100.0]], [[0.0, 0.0], [0.0, 0.0]], [[1, 1], [0, 1]], [0.0, 0.0], 1.0,
            0.5, [[-1.0, 0.0], [0.0, 100.0]]),
        row("lam = 1, gamma = 1: what was still earned, minus the value", [[-1.0, -2.0, -3.0]], [[-4.0, -4.0, -4.0]], [[1, 1, 1]],
            [0.0], 1.0, 1.0, [[-2.0, -1.0, 1.0]]),
    ]
    masks = [[float(rng.random() < 0.5) for _ in range(9)] for _ in range(4)]
    masks[0][0] = masks[1][8] = masks[2][3] = masks[3][4] = 1.0
    values = [[round(rng.gauss(-2, 2), 2) for _ in range(9)] for _ in range(4)]
    rewards = [[round(rng.gauss(-1, 1), 2) * m for m in line] for line in masks]
    after = [0.0, round(rng.gauss(-2, 2), 2), 0.0, -1.0]
    expected = []
    for k, line in enumerate(masks):
        places = [t for t, m in enumerate(line) if m]
        slow = _slow_advantages([rewards[k][t] for t in places], [*(values[k][t] for t in places), after[k]], 0.9, 0.7)
        found = dict(zip(places, slow, strict=True))
        expected.append([found.get(t, 0.0) for t in range(9)])
    table.append(row("four rows drawn at random, against a slow loop", rewards, values, masks, after, 0.9, 0.7, expected))
    return compare("packed_gae", function, table) or passed("packed_gae", "Seven cases, the last one against a slow loop")


def _slow_advantages(rewards, values, gamma, lam) -> list[float]:
    """The sum of discounted surprises, from the definition; `values` has one more entry."""
    surprise = [r + gamma * values[t + 1] - values[t] for t, r in enumerate(rewards)]
    return [sum((gamma * lam) ** k * d for k, d in enumerate(surprise[t:])) for t in range(len(rewards))]


def value_loss(function, seed: int = 0) -> Result:
    """A function (values, old_values, returns, clip), tensors (N,) and a number or None -> the loss, a number."""
    rng = random.Random(seed)

    def row(case, values, old, returns, clip, expected):
        return case, {"values": values, "old_values": old, "returns": returns, "clip": clip}, expected

    table = [
        row("no clip: half the mean square, of 2 and 0", [3.0, 1.0], [0.0, 0.0], [1.0, 1.0], None, 1.0),
        row("moved by less than the clip: the same", [3.0, 1.0], [2.5, 0.5], [1.0, 1.0], 1.0, 1.0),
        row("moved TOWARDS the return by more than the clip: counted as if it stood at 1, error 3", [3.0], [0.0], [4.0], 1.0,
            4.5),
        row("moved AWAY from it: the true error counts, because it is the larger", [3.0], [0.0], [-1.0], 1.0, 8.0),
        row("downwards in the same way: stands at -1, error 3", [-3.0], [0.0], [-4.0], 1.0, 4.5),
    ]
    new, old, returns = [[round(rng.gauss(0, 2), 2) for _ in range(8)] for _ in range(3)]
    slow = [max((v - r) ** 2, (min(max(v, o - 0.5), o + 0.5) - r) ** 2) for v, o, r in zip(new, old, returns, strict=True)]
    table.append(row("eight drawn at random, against a slow loop", new, old, returns, 0.5, sum(slow) / 16))
    return compare("value_loss", function, table) or _no_pull_beyond(function) or passed("value_loss", "Six cases and a gradient")


def _no_pull_beyond(function) -> Result | None:
    """A failure where the gradient is not the expected one."""
    import torch
    values, expected = torch.tensor([3.0, 3.0], requires_grad=True), [0.0, 2.0]
    try:
        function(values, torch.zeros(2), torch.tensor([4.0, -1.0]), 1.0).backward()
        got = values.grad.tolist()
    except Exception as error:  # whatever a learner's code raises is shown, never raised
        return failed("value_loss", f"\n  its gradient\n  raised   {raised(error)}\n  expected {expected}")
    return None if close(got, expected, 1e-4) else failed(
        "value_loss", f"\n  its gradient at values [3, 3], old values 0, returns [4, -1], clip 1\n  got      {rounded(got)}\n"
                      f"  expected {expected}: no pull beyond the clip, (3 + 1) / 2 back to the return")


def entropy(function, seed: int = 0) -> Result:
    """A function (logits, legal), (N, V) and (N, V) booleans -> (N,) entropies in nats, with finite gradients."""
    import torch
    rng, log3 = random.Random(seed), math.log(3)

    def row(case, logits, legal, expected):
        return case, {"logits": logits, "legal": [[bool(x) for x in line] for line in legal]}, expected

    logits = [[round(rng.gauss(0, 2), 2) for _ in range(5)] for _ in range(4)]
    legal = [[1, 1, 0, 1, 0], [1, 1, 1, 1, 1], [0, 0, 1, 0, 1], [0, 1, 0, 0, 0]]
    slow = []
    for line, allowed in zip(logits, legal, strict=True):
        weights = [math.exp(x) for x, ok in zip(line, allowed, strict=True) if ok]
        slow.append(-sum(w / sum(weights) * math.log(w / sum(weights)) for w in weights))
    table = [
        row("four equals: log 4", [[2.0] * 4], [[1, 1, 1, 1]], [math.log(4)]),
        row("two of the four are legal: log 2", [[2.0] * 4], [[1, 0, 0, 1]], [math.log(2)]),
        row("one is legal: no doubt at all, and no nan", [[2.0, 5.0]], [[1, 0]], [0.0]),
        row("3/4 and 1/4; the illegal 99 is not looked at", [[log3, 0.0, 99.0]], [[1, 1, 0]],
            [0.75 * math.log(4 / 3) + 0.25 * math.log(4)]),
        row("a probability of almost 0: 0 log 0 is 0", [[0.0, -500.0]], [[1, 1]], [0.0]),
        row("four rows drawn at random, against a slow loop", logits, legal, slow),
    ]
    wrong = compare("entropy", function, table)
    if wrong:
        return wrong
    leaf = torch.tensor(logits, requires_grad=True)
    try:
        function(leaf, torch.tensor(legal, dtype=torch.bool)).sum().backward()
        got = leaf.grad.isfinite().all().item()
    except Exception as error:
        return failed("entropy", f"\n  its gradient\n  raised   {raised(error)}\n  expected a finite gradient")
    return passed("entropy", "Six cases, and a gradient that is finite") if got else failed(
        "entropy", f"\n  its gradient for logits {logits}\n  got      {rounded(leaf.grad.tolist())}\n  expected finite numbers: "
                   "0 * -inf is nan, also on the way back")


def kl_control(function, seed: int = 0) -> Result:
    """A function (logprobs, old_logprobs, kl_coef, target) -> (estimate of KL(old || new), next coefficient)."""
    rng = random.Random(seed)
    up, down = math.log(1.5), math.log(0.5)

    def row(case, new, old, coefficient, target, expected):
        return case, {"logprobs": new, "old_logprobs": old, "kl_coef": coefficient, "target": target}, expected

    table = [
        row("nothing has moved: 0 nats, twice as small a coefficient", [-1.0, -2.0], [-1.0, -2.0], 0.4, 0.1, [0.0, 0.2]),
        row("one move became 1.5 times as likely: .5 - log 1.5 = .0945, between target / 1.5 and 1.5 target", [up], [0.0], 0.4,
            0.1, [0.5 - up, 0.4]),
        row("one move became half as likely: -.5 + log 2 = .1931 is more than 1.5 times .1", [down], [0.0], 0.4, 0.1,
            [-0.5 - down, 0.8]),
        row("both, their mean .1438: below 1.5 times .1", [up, down], [0.0, 0.0], 0.4, 0.1, [(-up - down) / 2, 0.4]),
        row("the same with a target of .3: below .3 / 1.5", [up, down], [0.0, 0.0], 0.4, 0.3, [(-up - down) / 2, 0.2]),
    ]
    new, old = [[round(rng.gauss(-2, 0.6), 3) for _ in range(9)] for _ in range(2)]
    kl = sum(math.exp(p - q) - 1 - (p - q) for p, q in zip(new, old, strict=True)) / 9
    table.append(row("nine moves drawn at random", new, old, 0.1, kl / 3, [kl, 0.2]))

    def plain(*arguments):
        return [float(x) for x in function(*arguments)]

    return compare("kl_control", plain if callable(function) else function, table) or passed("kl_control", "Six cases")


def mini_batches(function, seed: int = 0) -> Result:
    """A function (game, parts, generator) -> `parts` lists of token positions; a game's tokens stay together."""
    import torch
    if not callable(function):
        return failed("mini_batches", f"Expected a function, got {function!r}.")
    rng = random.Random(seed)
    drawn = sorted(rng.choice(range(9)) for _ in range(40))
    cases = [([0, 0, 1, 1, 1, 2, 3], 2), ([0, 1, 2], 3), ([0, 0, 0, 1], 1), ([0, 0, 4, 4, 7], 2), (drawn, 4)]
    for game, parts in cases:
        told = f"\n  game {game}  parts {parts}"
        try:
            found = [[[int(i) for i in part] for part in function(torch.tensor(game), parts, torch.Generator().manual_seed(n))]
                     for n in (1, 1, 2, 3, 4, 5)]
        except Exception as error:  # whatever a learner's code raises is shown, never raised
            return failed("mini_batches", f"{told}\n  raised   {raised(error)}\n"
                                          f"  expected {parts} lists of positions")
        wrong = _misses(found, game, parts)
        if wrong:
            return failed("mini_batches", f"{told}\n  got      {str(found[0])[:200]}\n  expected {wrong}")
    return passed("mini_batches", "Every token once, games whole, sizes even, drawn by the generator and by nothing else")


def _misses(found: list, game: list[int], parts: int) -> str | None:
    """What the mini-batches of six draws (the first two with the same generator) lack, else None."""
    for draw in found:
        if len(draw) != parts:
            return f"{parts} mini-batches"
        if sorted(i for part in draw for i in part) != list(range(len(game))):
            return "every position once"
        sets = [{game[i] for i in part} for part in draw]
        if sum(map(len, sets)) != len(set(game)):
            return "all tokens of a game in one mini-batch"
        if max(map(len, sets)) - min(map(len, sets)) > 1:
            return f"as many GAMES in each, up to one: got {[len(s) for s in sets]}"
    told = [[sorted(part) for part in draw] for draw in found]
    if found[0] != found[1]:
        return "the same mini-batches from a generator with the same seed"
    if parts > 1 and all(draw == told[0] for draw in told):
        return "other mini-batches from generators with other seeds"
    return None
