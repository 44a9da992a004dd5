"""Car Dealer: the game and its ledger, scripted sellers, behaviour data.

Task: LMRL Gym (arXiv 2311.18232). The agent sells; what its text means is found in `car_dealer_reading.py`, who buys is in
`car_dealer_buyer.py`. Money is integer hundreds of dollars; only the reward is in thousands.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import numpy as np

from lmrl_lab.env import References, TaskCard, TextEnv, unknown
from lmrl_lab.episode import Episode, Turn
from lmrl_lab.policies import played
from lmrl_lab.simulators import Request, Simulator
from lmrl_lab.simulators import simulator as _simulator
from lmrl_lab.tasks.car_dealer_buyer import (
    BITS,
    LINES,
    OPENING,
    SLOTS,
    Buyer,
    Car,
    car_meant,
    checked_buyer,
    dollars,
    drawn_buyer,
    filled,
    listed,
    lowered,
    told,
)
from lmrl_lab.tasks.car_dealer_reading import Act, read
from lmrl_lab.tasks.car_dealer_sellers import (
    WORDINGS,
    BestSeller,
    Discounter,
    FeatureTalker,
    RandomSeller,
    Straight,
    behaviour_policy,
)
from lmrl_lab.tasks.car_dealer_words import FEATURES

TURNS = 25
REWARDS = ("price", "paper")
CHAT = frozenset(("greet", "thanks", "other"))
# how a language model is told who it is
IN_WORDS = {"bargain": "you buy only with a discount, and bargain hard",
            "wishes": "you buy only if every one of your wishes is met, and you want to hear that it is",
            "impatient": "you have little time, and dislike talk of discounts and features"}


class CarDealerEnv(TextEnv):
    """Sell one car in 25 turns: reward at the end, the sale price in thousands of dollars, 0 without a sale.

    `reward`: "price", or "paper": price / ((budget + list price) / 2). `buyer` is the hidden buyer. Only the env's ledger
    decides what a car is sold for; no text can raise a price there, or go under four fifths of the list price. `simulator`:
    who speaks for the buyer. A language model's "Deal:" buys the car that the ledger holds, at the price that it holds, if
    that is not above the buyer's budget; its "Goodbye:" ends the game.
    """

    task = "car-dealer"
    option_names = ("buyer",)

    def __init__(self, reward: str = "price", simulator: str | Simulator = "scripted"):
        if reward not in REWARDS:
            raise unknown("reward of car-dealer", reward, REWARDS)
        self.reward, self.simulator = reward, _simulator(simulator)
        self.buyer: Buyer | None = None

    def _reset(self, options):
        self.buyer = drawn_buyer(self.np_random, checked_buyer(options.get("buyer") or {}))
        self._next = int(self.np_random.integers(2 ** len(BITS)))  # which line comes next, a bit a situation
        self._patience = 6 if self.buyer.character == "impatient" else 8
        self._turn = self._strain = self._cars = self._needs = self._budgets = 0
        self._cuts = self._offer = self._price = self._dear = 0  # of the car on the table
        self._car: Car | None = None
        self._spoken, self._named = False, set()
        first = self._line("greeting") + "\n" + OPENING
        self._turns = (first,)
        return first, {
            "legal_actions": None, "invalid": False, "success": False,
            "message": "a buyer has come; ask, show a car, name a price, close"}

    def _line(self, situation: str, value: str = "") -> str:
        bit = BITS[situation]
        line = LINES[situation, self.buyer.tone][bool(self._next & bit)]
        self._next ^= bit
        return filled(line, SLOTS[situation], value) if value else line

    def _step(self, action):
        acts, invalid, chat = heard(action)
        if self.simulator is not None:
            return self._told_by_a_model(action, acts, invalid)
        self._turn += 1
        buyer = self.buyer
        hurried = buyer.character == "impatient"
        if hurried and self._turn > 5:
            self._strain += buyer.budget // 50
        if chat:
            self._patience -= self._turn > 1 or hurried
            says = {"not_understood" if invalid else "impatient_at_small_talk" if hurried else "undecided": ""}
        else:
            says = self._answers(acts)
        if says is None:
            self._patience = 0
            return self._sold(self._line("accept", dollars(self._price)) + "\n")
        if self._patience <= 0 or self._turn >= TURNS:
            why = "the buyer lost patience and left" if self._patience <= 0 else f"the buyer left after {TURNS} turns"
            return self._line("leave") + "\n", 0.0, True, False, {
                "legal_actions": None, "invalid": invalid, "success": False, "message": why}
        if len(says) > 3:
            self._shorten(says)
        text = "".join([self._line(situation, value) + "\n" for situation, value in says.items()])
        return text, 0.0, False, False, {"legal_actions": None, "invalid": invalid, "success": False,
                                         "message": "no act was understood" if invalid else f"{TURNS - self._turn} turns left"}

    def _sold(self, text: str) -> tuple[str, float, bool, bool, dict]:
        """The end of a game in a sale, at the ledger's price."""
        price = self._price
        reward = price / 10 if self.reward == "price" else 2 * price / (self.buyer.budget + self._car.list_price)
        return text, reward, True, False, {"legal_actions": None, "invalid": False, "success": True,
                                           "message": f"sold: the {self._car.name} for {dollars(price)}"}

    def request(self, action: str) -> Request:
        """What the simulator is asked at this action."""
        buyer = self.buyer
        told = {"brand": buyer.brand, "body": buyer.body, "features": listed(buyer.features), "budget": dollars(buyer.budget),
                "character": IN_WORDS[buyer.character], "tone": buyer.tone}
        return Request(self.task, tuple(told.items()), (*self._turns, action.removesuffix("\n")))

    def _told_by_a_model(self, action: str, acts: Sequence[Act], invalid: bool) -> tuple[str, float, bool, bool, dict]:
        """A turn with a language model as the buyer: the seller's acts go into the ledger, the model says what it likes."""
        reply = self.simulator.replies([self.request(action)])[0] or "..."  # if this fails, nothing has happened
        self._turn += 1
        for act in acts:
            if act.kind == "present":
                self._show(act, next((a.price for a in acts if a.kind == "price"), None), {})
            elif act.kind in ("price", "discount"):
                if act.brand or act.type:  # of another car: "the Kia SUV costs 33,000"
                    self._show(act, act.price, {})
                if self._car:
                    self._enter(lowered(self._price, act))
        told = reply + "\n"
        if re.match(r"deal\s*[:!,.]", reply, re.I) and self._car:
            if self._price <= self.buyer.budget:
                return self._sold(told)
            told = "That is more than I can spend.\n"
        self._turns += (action, told)
        gone, left = bool(re.match(r"goodbye\s*[:!,.]", reply, re.I)), TURNS - self._turn
        return told, 0.0, gone or not left, False, {
            "legal_actions": None, "invalid": invalid, "success": False,
            "message": "the buyer left" if gone else f"{left} turns left"}

    def _answers(self, acts: Sequence[Act]) -> dict[str, str] | None:
        """Reads the acts of a turn into the ledger. What the buyer says, situation -> slot, or None: he buys at `_price`."""
        buyer, says = self.buyer, {}
        hurried = buyer.character == "impatient"
        shown = priced = absent = False
        close, offered = None, self._offer
        for act in acts:
            kind = act.kind
            if kind == "ask_needs":
                if act.about == "features":
                    self._tells_features(says)
                    continue
                self._needs += 1
                if self._needs == 1:
                    says["tell_brand"], says["tell_type"] = buyer.brand, buyer.body
                elif hurried:
                    says["impatient_at_small_talk"] = ""
                    self._patience -= 1
                else:
                    self._tells_features(says)
            elif kind == "ask_budget":
                self._budgets += 1
                known = self._budgets - (buyer.character == "bargain")
                if known <= 0:
                    says["refuse_to_tell_budget"] = ""
                elif known == 1 or buyer.character == "bargain":
                    says["tell_budget_vague"] = dollars(400 if buyer.budget < 400 else 1000)
                else:
                    says["tell_budget"] = dollars(buyer.budget)
            elif kind == "present":
                seen = self._show(act, next((a.price for a in acts if a.kind == "price"), None), says)
                shown, absent = shown or seen, not seen
            elif kind == "praise":
                for feature in act.features:
                    if self._car and feature in self._car.features:
                        self._named.add(feature)
                    if hurried:
                        self._tells_features(says)
                    elif buyer.character == "wishes" and feature in buyer.features:
                        says["like_car"] = ""
            elif kind == "price" or kind == "discount":
                if kind == "discount" and hurried:
                    says["annoyed_at_discount_talk"] = ""
                    self._patience -= 2
                    self._strain += buyer.budget // 10
                if (act.brand or act.type) and car_meant(act, act.price, self._car) != self._car:
                    seen = self._show(act, act.price, says)
                    shown, absent = shown or seen, not seen
                if self._car and not absent:
                    priced = True
                    self._enter(lowered(self._price, act))
            elif kind == "close":
                close = act
        if not self._car:
            self._patience -= close is not None
            return says or {"undecided": ""}
        if absent:  # what is said of a car that is not in the stock says nothing of the one on the table
            return says
        self._spoken |= priced or close is not None
        taken = offered if close and close.about == "offer" and not (priced or shown) else 0
        return self._car_and_price(says, shown, close, taken)

    def _tells_features(self, says: dict):
        """Talk of features: an answer, or what it costs with an impatient buyer."""
        if self.buyer.character == "impatient":
            says["annoyed_at_feature_talk"] = ""
            self._patience -= 1
            self._strain += self.buyer.budget // 20
        else:
            says["tell_features"] = listed(self.buyer.features)

    def _show(self, act: Act, price: int | None, says: dict) -> bool:
        """Puts the car that an act names in the ledger, at its list price; the same car again keeps its price."""
        car = car_meant(act, price, self._car)
        if car is None:
            says["not_understood"] = ""
            return False
        if car != self._car:
            self._car, self._price, self._cuts, self._offer, self._dear = car, car.list_price, 0, 0, 0
            self._spoken, self._named = False, set()
            self._cars += 1
            self._patience -= self._cars > 3
        self._named.update(set(act.features) & set(car.features))
        if len(act.features) > 2 and self.buyer.character == "impatient":
            self._tells_features(says)
        return True

    def _enter(self, price: int):
        """A price in the ledger: it only falls, and never under the house floor."""
        if self._car.floor <= price < self._price:
            self._patience -= 50 * (self._price - price) < self._car.list_price  # under 2 % of the list price
            self._price, self._cuts = price, self._cuts + 1
        elif price != self._price:
            self._patience -= 1

    def _car_and_price(self, says: dict, shown: bool, close: Act | None, offer: int) -> dict[str, str] | None:
        """What he says of the car and its price, after `says`; None where he buys. `offer`: of his, taken in words."""
        buyer, car, price = self.buyer, self._car, self._price
        pays = buyer.reservation(car, self._strain)
        unnamed = [wish for wish in buyer.features if wish not in self._named] if buyer.character == "wishes" else []
        if close and price <= pays and not unnamed:
            return None
        if offer >= car.floor and price > pays:
            self._price = offer
            return None
        self._patience -= close is not None
        self._offer = 0
        if buyer.character == "wishes" and pays == 0:
            if shown or close or not says:
                lacks = next((wish for wish in buyer.features if wish not in car.features), "")
                says |= ({"wrong_brand": buyer.brand} if car.brand != buyer.brand else
                         {"wrong_type": buyer.body} if car.type != buyer.body else {"car_lacks_wish": lacks})
        else:
            if shown and (buyer.character != "impatient" or car.brand == buyer.brand or car.type == buyer.body):
                says["like_car"] = ""
            if not self._spoken:
                says["ask_price"] = ""
            elif price > pays:
                if buyer.character != "bargain" or not self._dear:
                    says["too_expensive"] = ""
                self._dear += 1
                if buyer.character == "bargain":
                    self._offer = pays * min(buyer.opening + self._cuts, 18) // 20
                    says["counter_offer"] = dollars(self._offer)
                    if not self._cuts:
                        says["ask_discount"] = ""
            elif unnamed:
                says["undecided"] = ""
                says["tell_features"] = listed(unnamed)
            else:
                says["price_fine"] = ""
        return says

    @staticmethod
    def _shorten(says: dict[str, str]):
        """At most three lines, without those that tell least."""
        for situation in ("like_car", "too_expensive", "ask_discount", "price_fine", "ask_price", *reversed(list(says))):
            if situation != "counter_offer":
                says.pop(situation, None)
            if len(says) == 3:
                return


# ---------------------------------------------------------------------------------------------- behaviour data

def behaviour_episodes(size: int, seed: int, reward: str = "price") -> Iterator[Episode]:
    """Games of the behaviour policy with drawn buyers; fewer games are the first of more."""
    env, policy = CarDealerEnv(reward), behaviour_policy()
    for k in range(size):
        episode = played(policy, env, int(np.random.default_rng([seed, k]).integers(2**31)))
        episode.info["buyer"] = asdict(env.buyer) | {"features": list(env.buyer.features)}  # as it comes back from a file
        yield episode


# ---------------------------------------------------------------------------------------------- card

def references(games: int = 4_000, reward: str = "price") -> References:
    """What the card holds, computed: no sale, and the mean returns of the behaviour policy and of the best one known."""
    env = CarDealerEnv(reward)
    returns = np.array([[played(policy, env, seed).total_return for seed in range(games)]
                        for policy in (behaviour_policy(), BestSeller())])
    errors = returns.std(axis=1, ddof=1) / games**0.5
    return References(0.0, *map(float, returns.mean(1)), (0.0, *map(float, errors)),
                      f"lmrl_lab.tasks.car_dealer.references({games}, {reward!r})")


@functools.lru_cache(maxsize=200_000)
def heard(text: str) -> tuple[tuple[Act, ...], bool, bool]:
    """(the acts of a text, whether nothing was understood, whether it is chat and no more)."""
    acts = read(text)
    return acts, all(act.kind == "other" and not act.about for act in acts), all(act.kind in CHAT for act in acts)


def model_text(turns: Sequence[Turn]) -> list[str]:
    """The same turns as a tiny model reads them: without the stock, which is the same in every game, and without the buyer's
    tone. "I could do 27,000 dollars." -> "counter_offer 27,000 dollars"."""
    return [turn.text if turn.is_action else
            "\n".join(" ".join(filter(None, told(line))) or line for line in turn.text.removesuffix(OPENING).splitlines()) or "\n"
            for turn in turns]


def _vocabulary() -> tuple[str, ...]:
    """What sellers say, as the pieces between what varies; what varies; the buyer's situations; and all single words."""
    said = [*itertools.chain(*WORDINGS.values())]
    pieces = [piece.strip() for text in said for piece in re.split(r"\{\w+\}", text) if len(piece.split()) > 1]
    words = re.findall(r"\{\w+\}|[\w'’-]+|[^\w\s]|\n", " ".join([OPENING, *itertools.chain(*LINES.values()), *said,
                                                                          "an percent"]))
    sums = [dollars(price).split()[0] for price in range(1, 1001)]
    return tuple(dict.fromkeys([*BITS, *FEATURES.values(), *pieces, *(word for word in words if word[0] != "{"), *sums,
                                *map(str, range(1, 100))]))


_REFERENCES = {reward: References(0.0, behaviour, best, (0.0, *errors), f"lmrl_lab.tasks.car_dealer.references(6000, {reward!r})")
               for reward, behaviour, best, errors in (
                   ("price", 13.47, 43.13, (0.30, 0.31)), ("paper", 0.285, 0.891, (0.005, 0.001)))}
_VALUES = {"steps": 400, "batch_size": 32, "learning_rate": 2e-3, "beta": 0.2, "gamma": 1.0, "reward_scale": 0.02, "cql": 0.01}
CARDS = {
    "car-dealer": TaskCard(
        id="car-dealer", title="Car Dealer", summary="sell a car to a buyer whose character, wishes and budget are hidden",
        capability="strategy against a hidden character: find out who the buyer is, then play what works with him",
        env=CarDealerEnv, behaviour=behaviour_episodes, data_size=20_000, max_actions=TURNS, keep=0.3, context="episode",
        policies={"random": RandomSeller, "behaviour": behaviour_policy, "discounter": Discounter,
                  "feature-talker": FeatureTalker, "straight": Straight, "best": BestSeller},
        references=_REFERENCES["price"], other_references={(("reward", reward),): found for reward, found in _REFERENCES.items()},
        turn_tokens=40, vocabulary=_vocabulary(), model_text=model_text, evaluation_episodes=400,
        settings={"bc": {"steps": 700, "batch_size": 32, "learning_rate": 3e-3},
                  "filtered_bc": {"steps": 500, "batch_size": 32, "learning_rate": 3e-3},
                  "mc": _VALUES, "ilql": {**_VALUES, "tau": 0.7, "polyak": 0.05},
                  "ppo": {"updates": 120, "gamma": 1.0},
                  "online_filtered_bc": {"updates": 100, "episodes_per_update": 128, "keep": 0.1, "learning_rate": 3e-4}}),
}
