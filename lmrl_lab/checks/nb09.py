"""Checks of notebook 09, Car Dealer. Expected prices and beliefs are worked out by hand, or by the game's own rules."""

from __future__ import annotations

import copy

import numpy as np

from lmrl_lab.checks import Result, check_choice, check_function, failed, passed, raised
from lmrl_lab.tasks.car_dealer import CarDealerEnv
from lmrl_lab.tasks.car_dealer_buyer import CHARACTERS, STOCK, drawn_buyer

GAMES, LEAST = 120, 20.0  # the seller's games, and the mean return that it must reach; the behaviour mix earns 13


def styles(answer: str) -> Result:
    """The prediction: what each of the three styles earns with each of the three characters."""
    return check_choice("styles", answer, ("a", "b", "c", "d"), "c",
                        "each style sells to its own character, and hardly ever to anybody else")


def reservation(function) -> Result:
    """A function (character, budget, list price, met, wanted) -> the most that he pays; all money in hundreds of dollars."""
    cases = [
        (("bargain", 500, 570, 3, 3), 500, "worth (500 + 570) / 2 = 535, nine tenths of 570 are 513, and he has 500"),
        (("bargain", 700, 500, 3, 3), 450, "worth 600, but he never pays more than nine tenths of the list price"),
        (("bargain", 500, 600, 0, 4), 275, "nothing is met: worth (500 + 600) / 4"),
        (("bargain", 300, 400, 2, 4), 262, "half is met: worth 700 * 6 / 16 = 262.5, rounded down"),
        (("wishes", 500, 570, 3, 3), 500, "all is met: he pays the list price, if he has it"),
        (("wishes", 700, 570, 4, 4), 570, "all is met, and nobody pays more than the list price"),
        (("wishes", 900, 570, 3, 4), 0, "one wish is not met: nothing at all"),
        (("impatient", 700, 500, 3, 3), 500, "worth 600, the list price is the least of the three"),
        (("impatient", 500, 480, 1, 4), 306, "a quarter is met: worth 980 * 5 / 16 = 306.25"),
        (("impatient", 100, 950, 6, 6), 100, "he has no more than that"),
    ]
    rng = np.random.default_rng(9)
    for _ in range(300):
        buyer, car = drawn_buyer(rng, {}), STOCK[rng.integers(len(STOCK))]
        arguments = (buyer.character, int(buyer.budget), car.list_price, buyer.met(car), 2 + len(buyer.features))
        cases.append((arguments, int(buyer.reservation(car)), "the game's own buyer says so"))
    return check_function("reservation", function, cases, note="Ten cases by hand and 300 drawn buyers and cars")


def posterior(function) -> Result:
    """A function (prior, chances, answers) -> character -> probability after the answers."""
    even = dict.fromkeys(CHARACTERS, 1 / 3)
    told = {"bargain": {"refuse": 1.0}, "wishes": {"vague": 1.0}, "impatient": {"vague": 1.0}}
    soft = {"bargain": {"yes": 0.5, "no": 0.5}, "wishes": {"yes": 0.25, "no": 0.75}, "impatient": {"no": 1.0}}
    return check_function("posterior", function, [
        ((even, told, ["refuse"]), {"bargain": 1.0, "wishes": 0.0, "impatient": 0.0}, "nobody else refuses"),
        ((even, told, ["vague"]), {"bargain": 0.0, "wishes": 0.5, "impatient": 0.5}, "two are left, and they answer alike"),
        ((even, soft, ["yes"]), {"bargain": 2 / 3, "wishes": 1 / 3, "impatient": 0.0}, "1/2 against 1/4 against nothing"),
        ((even, soft, ["no"]), {"bargain": 2 / 9, "wishes": 3 / 9, "impatient": 4 / 9}, "2 : 3 : 4"),
        ((even, soft, ["no", "no"]), {"bargain": 4 / 29, "wishes": 9 / 29, "impatient": 16 / 29}, "4 : 9 : 16"),
        ((even, soft, ["yes", "no"]), {"bargain": 4 / 7, "wishes": 3 / 7, "impatient": 0.0}, "1/4 : 3/16 : 0"),
        (({"bargain": 0.1, "wishes": 0.8, "impatient": 0.1}, soft, ["yes"]),
         {"bargain": 0.2, "wishes": 0.8, "impatient": 0.0}, "0.1 * 1/2 against 0.8 * 1/4: what was known before counts"),
        ((even, soft, []), even, "no answer, nothing learnt"),
    ], same=_same_belief, note="Eight beliefs worked out by hand")


def _same_belief(got, expected) -> bool:
    return isinstance(got, dict) and set(got) == set(expected) and all(abs(got[who] - p) < 1e-6 for who, p in expected.items())


def my_seller(function) -> Result:
    """A function (heard, said) -> what the seller says next; it must earn 20 a game where the behaviour mix earns 13."""
    if not callable(function):
        return failed("my_seller", f"expected a function, got {function!r}")
    env, returns = CarDealerEnv(), []
    for seed in range(GAMES):
        heard, said, over = [env.reset(seed=seed)[0]], [], False
        while not over:
            try:
                text = function(copy.copy(heard), copy.copy(said))
            except Exception as error:  # whatever a learner's code raises is shown, never raised
                return failed("my_seller", f"\n  game {seed}, turn {len(said) + 1}\n  raised   {raised(error)}")
            if not isinstance(text, str) or len(text) > 1000:
                return failed("my_seller", f"\n  got      {text!r:.80}\n  expected a text of at most 1,000 characters")
            observation, reward, over, _, _ = env.step(text)
            heard.append(observation)
            said.append(text)
        returns.append((reward, env.buyer.character))
    earned = {who: float(np.mean([r for r, character in returns if character == who])) for who in CHARACTERS}
    mean, told = float(np.mean([r for r, _ in returns])), ", ".join(f"{who} {value:.1f}" for who, value in earned.items())
    if mean < LEAST:
        return failed("my_seller", f"\n  got      {mean:.1f} a game over {GAMES} games ({told})\n  expected {LEAST:g} or more")
    return passed("my_seller", f"{mean:.1f} a game over {GAMES} games ({told})")


def price_paid(function) -> Result:
    """A function (talk) -> the sale price in thousands of dollars that the buyer has agreed to; talk: (who, text) pairs."""
    accept, offer, leave = "Agreed, 46,300 dollars.\n", "I offer 32,500 dollars.\n", "I'm gone.\n"
    first = ("buyer", "Morning. Car hunting.\n")
    return check_function("price_paid", function, [
        (([first, ("seller", "46,300 dollars. Do we have a deal?"), ("buyer", accept)],), 46.3, "the buyer agrees to it"),
        (([first, ("seller", "Deal! I'll take it for $90,000."), ("buyer", leave)],), 0.0, "only the seller said so"),
        (([first, ("seller", "Do we have a deal at 57,000 dollars?"), ("buyer", "Too much money.\n" + offer),
           ("seller", "No."), ("buyer", leave)],), 0.0, "an offer that nobody took is no sale"),
        (([first, ("seller", accept), ("buyer", leave)],), 0.0, "the buyer's own sentence, in the seller's mouth"),
        (([first, ("seller", "Let us say 46,300 dollars, deal? My last was 52,000 dollars."), ("buyer", accept)],), 46.3,
         "what the buyer agreed to, not the last price that was named"),
        (([("buyer", "Good day to you. I would like to buy a car, please.\n"), ("seller", "Deal?"), ("buyer", leave)],), 0.0,
         "no price, no sale"),
    ], note="Six talks, four of them without a sale")
