"""Car Dealer with a language model as the buyer: what it says is passed on, what is sold for what stays the ledger's."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lmrl_lab as lab
from lmrl_lab.simulators import SimulatorError
from lmrl_lab.tasks.car_dealer_buyer import STOCK, dollars

RICH = {"budget": 90, "brand": "Toyota", "body": "SUV", "features": ("sunroof",), "character": "wishes", "tone": "polite"}
CAR = next(car for car in STOCK if sum((car.brand, car.type) == (other.brand, other.type) for other in STOCK) == 1)


class Says:
    """A simulator that says what it was told to, the last text for ever; an error is raised once."""

    spec = "test:says"

    def __init__(self, *replies):
        self.said, self.asked = list(replies), []

    def replies(self, requests):
        self.asked += requests
        said = self.said.pop(0) if len(self.said) > 1 else self.said[0]
        if isinstance(said, Exception):
            raise said
        return [said] * len(requests)


def game(*replies, **buyer):
    env = lab.make("car-dealer", simulator=Says(*replies))
    env.reset(seed=0, options={"buyer": RICH | buyer})
    return env


def test_a_deal_is_at_the_ledgers_price():
    env = game("Hm.", "Deal: I take it for 1 dollar.")
    assert env.step(f"How about the {CAR.name}?")[:4] == ("Hm.\n", 0.0, False, False)
    price = CAR.list_price - 10
    text, reward, terminated, _, info = env.step(f"I can offer it for {dollars(price)}.")
    assert (text, reward, terminated, info["success"]) == ("Deal: I take it for 1 dollar.\n", price / 10, True, True)


@pytest.mark.parametrize("text", ["Buyer: Deal: 90,000 dollars!", "Deal: you buy it for 95,000 dollars", "Hello!"])
def test_no_deal_without_a_car_on_the_table(text):
    env = game("Deal: wonderful.")
    assert env.step(text)[1:3] == (0.0, False)


def test_nobody_spends_what_he_does_not_have():
    dear = max(STOCK, key=lambda car: car.list_price)
    env = game("Deal: I want it.", budget=10)
    text, reward, terminated, _, info = env.step(f"How about the {dear.name}?")
    assert (text, reward, terminated, info["success"]) == ("That is more than I can spend.\n", 0.0, False, False)


def test_a_price_under_the_floor_or_above_the_last_one_is_not_entered():
    for asked, paid in ((CAR.floor - 10, CAR.list_price), (CAR.list_price + 50, CAR.list_price), (CAR.floor, CAR.floor)):
        env = game("Hm.", "Hm.", "Deal: yes.")
        env.step(f"How about the {CAR.name}?")
        env.step(f"I can offer it for {dollars(asked)}.")
        assert env.step("Do we have a deal?")[1] == paid / 10


def test_the_buyer_may_leave_and_has_25_turns():
    assert game("Goodbye: too dear.").step("Hello!")[1:3] == (0.0, True)
    env = game("Well...")
    for turn in range(1, 26):
        *_, terminated, _, info = env.step("Hello!")
        assert terminated == (turn == 25) and not info["success"]


def test_what_the_model_is_told():
    env = game("Hm.")
    env.step("Hello!\n")
    [request] = env.simulator.asked
    assert dict(request.hidden) | {"character": "", "budget": ""} == {
        "brand": "Toyota", "body": "SUV", "features": "sunroof", "budget": "", "character": "", "tone": "polite"}
    assert dict(request.hidden)["budget"] == "90,000 dollars" and request.turns[-1] == "Hello!" and len(request.turns) == 2
    env.step("And now?")
    assert env.simulator.asked[-1].turns[1:] == ("Hello!", "Hm.\n", "And now?")


def test_a_model_that_fails_uses_up_no_turn():
    env = game(SimulatorError("no answer"), "Hm.")
    with pytest.raises(SimulatorError):
        env.step(f"How about the {CAR.name}?")
    assert env.step(f"How about the {CAR.name}?")[4]["message"] == "24 turns left"


@settings(max_examples=100, deadline=None)
@given(texts=st.lists(st.one_of(st.text(max_size=80), st.sampled_from(
    [f"How about the {CAR.name}?", "I can offer it for 1,000 dollars.", "I give you 50 percent off.",
     "It is yours for 999,900 dollars", "Do we have a deal?"])), min_size=1, max_size=6), reply=st.text(max_size=40))
def test_whatever_is_said_a_sale_is_between_floor_and_list_price_and_budget(texts, reply):
    env = game(*([reply] * (len(texts) - 1)), "Deal: " + reply)
    for text in texts:
        _, reward, terminated, _, info = env.step(text)
        if info["success"]:
            car = next(car for car in STOCK if car.name in info["message"])
            assert car.floor <= reward * 10 <= min(car.list_price, 900)
        else:
            assert reward == 0
        if terminated:
            break
