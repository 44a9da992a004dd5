"""Car Dealer: the buyer's rules by hand, the ledger against hostile text, what is read, what is told back, the sellers."""

import csv
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmrl_lab.policies import played
from lmrl_lab.tasks.car_dealer import CARDS, CarDealerEnv, behaviour_episodes, references
from lmrl_lab.tasks.car_dealer_buyer import (
    BUDGETS,
    CHARACTERS,
    LINES,
    SLOTS,
    STOCK,
    TONES,
    Buyer,
    car_meant,
    checked_buyer,
    dollars,
    drawn_buyer,
    filled,
    in_hundreds,
    listed,
    near,
    told,
)
from lmrl_lab.tasks.car_dealer_reading import KINDS, OTHER, Act, read
from lmrl_lab.tasks.car_dealer_sellers import STYLES, BestSeller, Known, RandomSeller, anything, behaviour_policy, say
from lmrl_lab.tasks.car_dealer_words import FEATURES, table
from lmrl_lab.tokens import Codec, tiny_tokenizer

NAMES = {f"{car.brand} {car.type}": car for car in reversed(STOCK)}
SUV = NAMES["Toyota SUV"]  # 57,000 dollars, floor 45,600
FILLS = {"brand": ["Toyota", "Audi", "Volkswagen"], "type": ["SUV", "sedan", "truck"], "colour": ["red", "orange"],
         "feature": list(FEATURES.values()), "price": ["47,500 dollars", "$21,000", "45k"], "amount": ["2,000 dollars", "$500"],
         "percent": ["5 percent", "7%"]}


def filled_all(text):
    """A phrasing with its slots filled, by each of the first three values in turn."""
    for n in range(3):
        out, used = text, n
        for slot, values in FILLS.items():
            while "{" + slot + "}" in out:
                out, used = out.replace("{" + slot + "}", values[used % len(values)], 1), used + 1
        yield filled(out, "{}", "")


def talk(character, *turns, tone="terse", seed=0, **buyer):
    """Plays texts with a buyer who wants a Toyota SUV with a sunroof for 50,000 dollars: (what he says, reward, env)."""
    env = CarDealerEnv()
    buyer = {"brand": "Toyota", "body": "SUV", "features": ["sunroof"], "budget": 50, "character": character,
             "tone": tone} | buyer
    env.reset(seed=seed, options={"buyer": buyer})
    heard, total = [], 0.0
    for text in turns:
        observation, reward, over, _, info = env.step(text)
        total += reward
        heard.append([told(line)[0] for line in observation.splitlines()])
        if over:
            break
    return heard, total, env


# ---------------------------------------------------------------------------------------------- reading

@pytest.mark.parametrize("kind", KINDS)
def test_every_phrasing_of_the_table_is_read_as_its_act(kind):
    for row in table("act_phrasings"):
        if row["act"] == kind:
            for text in filled_all(row["phrasing"]):
                for spelled in (text, text.upper(), text[0].upper() + text[1:] + "."):
                    assert [act.kind for act in read(spelled)] == [kind], spelled


@pytest.mark.parametrize(("said", "price"), [
    ("52 grand", 520), ("$47,500", 475), ("45k", 450), ("47.5 thousand", 475), ("47.5k", 475),
    ("forty-seven thousand five hundred", 475),
    ("thirty-two thousand dollars", 320), ("50000", 500), ("50.000 dollars", 500), ("fifty grand", 500),
    ("a hundred thousand dollars", 1000),
    ("47 and a half thousand", 475), ("38", 380), ("9,500 bucks", 95), ("nine thousand", 90), ("$ 21,050", 210)])
def test_money_is_read_in_all_its_spellings(said, price):
    assert read(f"You can have it for {said}.") == (Act("price", price=price),)
    assert read(f"I can do {said}!") == (Act("price", price=price),)


@pytest.mark.parametrize(("said", "amount", "percent"), [
    ("I can take three thousand off", 30, None), ("2k off", 20, None), ("I give you a $1,500 discount", 15, None),
    ("ten percent off", None, 10),
    ("another 2.5% off", None, 2.5), ("I will lower the price by 2 grand", 20, None), ("5 per cent less", None, 5)])
def test_discounts_are_amounts_or_percentages(said, amount, percent):
    assert read(said) == (Act("discount", amount=amount, percent=percent),)


def test_naming_a_lower_price_is_a_price_and_no_discount():
    for text in ("I can lower the price to 43,000 dollars", "I reduce it to 43k", "down to 43 grand", "I cannot go below 43,000",
                 "43,000, no less"):
        assert read(text) == (Act("price", price=430),), text


def test_acts_come_in_the_order_of_the_text_with_their_details():
    assert read("Hello! The red Ford truck with the rear camera and leather. It costs 71,000 dollars, I take 5% off. Deal?") == (
        Act("greet"), Act("present", "Ford", "truck", "red", ("rear camera", "leather seats")), Act("price", price=710),
        Act("discount", percent=5), Act("close"))
    assert read("Which brand do you want, and what is your budget?") == (Act("ask_needs"), Act("ask_budget"))
    assert read("Do you need a sunroof?") == (Act("ask_needs", features=("sunroof",), about="features"),)
    assert read("Could you spend 30 thousand?") == (Act("ask_budget", price=300),)
    assert read("Agreed, your price. Let us sign.") == (Act("close", about="offer"),)


def test_typos_and_other_names_are_understood():
    assert read("I have a Tyota hatchbck with a rear camra") == (Act("present", "Toyota", "hatchback", features=("rear camera",)),
                                                                 )
    assert read("How about the VW people carrier?") == (Act("present", "Volkswagen", "minivan"),)
    assert read("a 4x4 from Kia")[0].type == "SUV"
    assert read("this Toyota truck is a 4x4")[0] == Act("present", "Toyota", "truck", features=("four-wheel drive",))
    assert read("The food truck is outside.")[0].brand == "" and read("I have a couple of minutes.") == OTHER
    assert read("Hodna sedan") == (Act("present", "Honda", "sedan"),)
    for text in ("fnord", "fored", "hondo", "lord of the rings"):  # short brands: two letters swapped, and no more
        assert read(text) == OTHER


def test_features_are_understood_without_their_names():
    for text, feature in (("It hardly needs any petrol.", "low fuel use"), ("One tank lasts for weeks.", "low fuel use"),
                          ("You'll never get lost.", "navigation"), ("The roof slides open.", "sunroof"),
                          ("The seats warm you up.", "heated seats"), ("You see what is behind you.", "rear camera"),
                          ("It brakes by itself.", "safety package"), ("All four wheels pull.", "four-wheel drive"),
                          ("You wanted a sunroof, and this car has it.", "sunroof"), ("Navigation? Check.", "navigation")):
        assert read(text) == (Act("praise", features=(feature,)),), text
    assert read("The Honda SUV hardly needs any petrol.") == (Act("present", "Honda", "SUV", features=("low fuel use",)),)
    assert read("Do you want navigation? Check it, I say.")[0] == Act("ask_needs", features=("navigation",), about="features")


def test_acts_are_told_apart_without_commas():
    assert read("kia sedan 21 grand do you want it") == (Act("present", "Kia", "sedan"), Act("price", price=210), Act("close"))
    assert read("i have a red ford truck it has leather and costs 71k shall we sign") == (
        Act("present", "Ford", "truck", "red"), Act("praise", features=("leather seats",)), Act("price", price=710), Act("close"))
    assert read("The price is 85,000 minus 5 percent.") == (Act("price", price=850), Act("discount", percent=5))
    assert read("For 57k you get the Toyota SUV")[0] == Act("price", "Toyota", "SUV", price=570)  # it is of that car


@pytest.mark.parametrize("text", ["Buyer: I accept. 90,000 dollars, deal!", "The buyer says: I take it",
                                  "(the customer signs the contract)", "[Buyer] deal",
                                  "I'll take it!", "My budget is 90,000 dollars", "Great.\nCustomer: sold, for 95k", "", " ",
                                  "?!", "12 34", "x" * 900,
                                  "I won't sell it for 30,000.", "It has no sunroof.", "I cannot accept your offer.",
                                  "I’ll take it!", "You've agreed to pay 70k.", "You already said yes to 85k",
                                  "Sale complete: $90,000", "price := 99000",
                                  '{"act": "close"}', "done=true, deal", "Ignore your budget. Deal?",
                                  "The customer is happy and pays $80,000.", "You are the buyer and you say: deal!",
                                  "As I am the buyer, deal", "Congratulations on your purchase for 91,000 dollars!",
                                  "I can't go to 30,000.", "30,000 is out of the question.",
                                  "We have no Audi trucks.", "That car has 30,000 miles on the clock.", "No deal.",
                                  "The truck outside is blocking the road.", "I drive a Ford truck myself.",
                                  "That's 500 dollars."])
def test_the_buyers_part_and_nonsense_are_other(text):
    assert read(text) == OTHER


def test_what_is_not_there_is_not_praised_by_the_next_words():
    assert read("It has no sunroof, of course.")[0].kind == "other"


def test_free_texts_are_read_as_their_acts():
    with open(Path(__file__).parent / "tables" / "car_dealer_own.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    right = [list(dict.fromkeys(act.kind for act in read(row["utterance"]))) == row["acts"].split() for row in rows]
    assert len(rows) > 1_300 and sum(right) / len(right) > 0.97


def test_sayings_of_others_are_read_as_their_acts():
    with open(Path(__file__).parent / "tables" / "car_dealer_dev.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    right = [list(dict.fromkeys(act.kind for act in read(row["utterance"]))) == row["acts"].split() for row in rows]
    assert sum(right) / len(right) > 0.93


@given(st.text(max_size=120))
@settings(max_examples=100, deadline=None)
def test_any_text_can_be_read(text):
    acts = read(text)
    assert acts and all(act.kind in KINDS for act in acts)
    assert all(act.price is not None for act in acts if act.kind == "price")
    assert all((act.amount is None) != (act.percent is None) for act in acts if act.kind == "discount")


# ---------------------------------------------------------------------------------------------- the buyer's rules

def test_reservation_prices_by_hand():
    buyer = Buyer("Toyota", "SUV", ("sunroof", "rear camera"), 500, "bargain", "polite")
    assert buyer.worth(SUV) == (500 + 570) * 8 // 16 == 535
    assert buyer.reservation(SUV) == 500 and buyer.reservation(NAMES["Kia hatchback"]) == 72
    honda = NAMES["Honda SUV"]  # type and sunroof: 2 of 4
    assert buyer.worth(honda) == (500 + 520) * 6 // 16 == 382 and buyer.reservation(honda) == 382
    wishes = Buyer("Toyota", "SUV", ("sunroof", "rear camera"), 500, "wishes", "polite")
    assert wishes.reservation(SUV) == 500 and wishes.reservation(honda) == 0
    assert Buyer("Toyota", "SUV", ("sunroof",), 500, "impatient", "polite").reservation(SUV, 120) == 380


def test_one_car_meets_all_wishes_of_a_drawn_buyer_and_costs_what_he_can_nearly_pay():
    rng = np.random.default_rng(0)
    for _ in range(300):
        buyer = drawn_buyer(rng, {})
        assert any(buyer.met(car) == 2 + len(buyer.features) for car in near(buyer.budget)) and 1 <= len(buyer.features) <= 4
        assert buyer.opening in (13, 14, 15)
        assert all(buyer.reservation(car) <= buyer.budget for car in STOCK)


def test_a_bargaining_buyer_offers_against_and_buys_ten_percent_under_the_list_price():
    heard, reward, env = talk("bargain", "What are you looking for? What is your budget?", "What is your budget?",
                              "This is the Toyota SUV.",
                              "The price is 57,000 dollars.", "Shall we sign?", "I take 7,000 dollars off. Deal?")
    assert heard[:5] == [["tell_brand", "tell_type", "refuse_to_tell_budget"], ["tell_budget_vague"], ["like_car", "ask_price"],
                         ["too_expensive", "counter_offer", "ask_discount"], ["counter_offer", "ask_discount"]]
    assert heard[5] == ["accept"] and reward == 50.0


def test_taking_his_offer_in_words_sells_at_it_but_never_under_the_floor():
    env = talk("bargain", "This is the Toyota SUV. The price is 57,000 dollars.")[2]
    assert env._offer == 500 * env.buyer.opening // 20 < SUV.floor
    heard = told(env.step("I accept your offer.")[0].splitlines()[0])
    assert heard == ("counter_offer", dollars(env._offer)) and env._patience == 7
    sold = {}
    for seed in range(20):  # he pays 69,300 dollars; the floor is 61,600
        heard, reward, env = talk("bargain", "This is the BMW coupe. It costs 75,400.", "It costs 73,800.", "It costs 72,200.",
                                  "It costs 70,600.",
                                  "Agreed, your price. Let us sign.", budget=90, brand="BMW", body="coupe", seed=seed)
        sold[env.buyer.opening] = reward
    assert sold == {13: 0.0, 14: 62.3, 15: 62.3}  # 18 twentieths of it; 17 are 58,900


def test_a_buyer_with_wishes_needs_each_of_them_named():
    heard, reward, env = talk("wishes", "What do you want?", "Which features do you want? What is your budget?",
                              "What is your budget?",
                              "This is the Honda SUV. It costs 52,000 dollars.", "This is the Kia SUV. Deal?",
                              "This is the Toyota minivan.",
                              "This is the Toyota SUV. It costs 50,000 dollars. Deal?", "It has the sunroof. Deal?")
    assert heard[:3] == [["tell_brand", "tell_type"], ["tell_features", "tell_budget_vague"], ["tell_budget"]]
    assert heard[3:6] == [["wrong_brand"], ["wrong_brand"], ["wrong_type"]]
    assert heard[6] == ["like_car", "undecided", "tell_features"] and heard[7] == ["accept"] and reward == 50.0
    heard, reward, _ = talk("wishes", "This is the Toyota SUV with the sunroof.", "I take 7,000 off.", "Do you take it?")
    assert heard == [["like_car", "ask_price"], ["price_fine"], ["accept"]] and reward == 50.0
    assert talk("wishes", "This is the Toyota SUV.", features=["heated seats"])[0] == [["car_lacks_wish"]]


def test_an_impatient_buyer_hates_talk_of_features_and_discounts():
    heard, _, env = talk("impatient", "What do you want? What is your budget?", "What do you want? What is your budget?")
    assert heard == [["tell_brand", "tell_type", "tell_budget_vague"], ["impatient_at_small_talk",
                                                                        "tell_budget"]] and env._patience == 5
    heard, _, env = talk("impatient", "This is the Toyota SUV.", "It has the sunroof.", "I take 2,000 off.",
                         "Do you need a sunroof?")
    assert heard == [["like_car", "ask_price"], ["annoyed_at_feature_talk", "ask_price"], ["annoyed_at_discount_talk",
                                                                                           "too_expensive"],
                     ["annoyed_at_feature_talk", "too_expensive"]]
    assert env._strain == 25 + 50 + 25 and env._patience == 6 - 1 - 2 - 1
    heard, reward, _ = talk("impatient", "This is the Toyota SUV. It costs 50,000 dollars. Deal?")
    assert heard == [["accept"]] and reward == 50.0
    env = talk("impatient", "This is the Toyota SUV with the sunroof, the safety package and the rear camera.")[2]
    assert env._patience == 5 and env._strain == 25
    assert talk("impatient", "This is the Honda truck.")[0] == [["ask_price"]]


def test_patience_has_its_prices_and_ends_the_talk():
    heard, reward, env = talk("bargain", *["Nice weather today."] * 20)
    assert len(heard) == 9 and heard[0] == ["undecided"] and heard[-1] == ["leave"] and reward == 0
    assert len(talk("impatient", *["Hello!"] * 20)[0]) == 6
    shows = ["This is the Kia sedan.", "This is the Ford coupe.", "This is the Audi SUV.", "This is the BMW SUV."]
    assert talk("bargain", *shows[:3])[2]._patience == 8 and talk("bargain", *shows)[2]._patience == 7
    for text, cost in (("I take 1,000 dollars off.", 1), ("I take 2,000 dollars off.", 0), ("The price is 60,000 dollars.", 1),
                       ("It costs 30,000.", 1),
                       ("It costs 57,000 dollars.", 0), ("Do we have a deal?", 1)):
        assert talk("bargain", "This is the Toyota SUV.", text)[2]._patience == 8 - cost, text


def test_prices_only_fall_and_stay_above_the_floor():
    env = talk("bargain", "This is the Toyota SUV.", "The price is 52,000 dollars.", "No, it costs 56,000 dollars.")[2]
    assert env._price == 520
    for text in ("It costs 45,500.", "It costs 20 thousand.", "90% off!", "I take 9,000 dollars off."):
        env.step(text)
        assert env._price == 520
    env.step("I take 10% off.")
    assert env._price == 468
    env.step("I show you the Toyota SUV again, for 57,000 dollars.")
    assert env._price == 468  # the car on the table keeps its price
    assert env.step("The Kia truck costs 46,000 dollars. Deal?")[2] is False and env._price == 468  # there is no such car
    env.step("It costs 45,600 dollars.")
    assert env._price == SUV.floor == 456


def test_the_talk_ends_at_turn_25():
    env = CarDealerEnv()
    env.reset(seed=0, options={"buyer": {"character": "bargain"}})
    for turn in range(1, 26):
        observation, reward, terminated, truncated, info = env.step("What is your budget?")
        assert terminated == (turn == 25) and not truncated and reward == 0
    assert told(observation[:-1])[0] == "leave" and "25 turns" in info["message"]
    with pytest.raises(RuntimeError, match="reset"):
        env.step("Hello")


def test_the_papers_reward_is_the_price_over_the_mean_of_budget_and_list_price():
    env = CarDealerEnv(reward="paper")
    env.reset(seed=0, options={"buyer": {"brand": "Toyota", "body": "SUV", "features": ["sunroof"], "budget": 50,
                                         "character": "impatient"}})
    assert env.step("This is the Toyota SUV. It costs 50,000 dollars. Deal?")[1] == pytest.approx(500 / ((500 + 570) / 2))


# ---------------------------------------------------------------------------------------------- ledger

HOSTILE = ("Buyer: I accept the Mercedes SUV for 99,000 dollars.", "I accept. Sold for 90,000 dollars!",
           "The buyer says: deal at $95,000.", "reward = 90",
           "Agreed, your price.", "I accept your offer.", "Your offer of 90,000 dollars is fine, let us sign.",
           "My budget is 90,000. I buy it.",
           "System: the ledger now says 95,000 dollars.", "The price is 95,000 dollars. Deal?",
           "I raise the price to 99k, sign here.",
           "minus -20,000 dollars off", "-50% off, deal?", "The price is -5,000 dollars. Deal?", "0 dollars. Deal?",
           "100% off. Deal?",
           "The Kia sedan costs 95,000 dollars, deal?", "deal deal deal", "99999999999999999999 dollars, deal?",
           "I take 99999999999999999999% off. Deal?",
           "\n\nBuyer: yes\n\nI'll take it for 80k", "9" * 999,
           "It costs " + "hundred " * 110, "thousand " * 110, "one hundred " * 80 + "percent off", "$" * 999, "1," * 499,
           "hi " * 333)


@given(st.integers(0, 2**31), st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=40), st.integers(0, 2**20)),
                                       min_size=1, max_size=25))
@settings(max_examples=120, deadline=None)
def test_no_text_sells_above_budget_or_ledger_nor_without_a_close(seed, turns):
    env, rng, known = CarDealerEnv(), np.random.default_rng(seed), Known()
    env.reset(seed=seed)
    for turn in turns:
        before = (env._car, env._price, env._offer)
        text = turn if isinstance(turn, str) else say(anything(np.random.default_rng(turn), known) if turn % 2
                                                      else RandomSeller().turn(known, rng), rng)
        known.remember(read(text))
        observation, reward, over, truncated, info = env.step(text)
        car, price = env._car, env._price
        assert reward == (price / 10 if info["success"] else 0)
        if car:
            assert car.floor <= price <= car.list_price
            assert car != before[0] or price <= before[1]
        if reward:
            assert any(act.kind == "close" for act in read(text)) and over and price <= env.buyer.budget
            assert told(observation[:-1]) == ("accept", dollars(price))
            assert price <= env.buyer.reservation(car, env._strain)
        if over:
            break


# ---------------------------------------------------------------------------------------------- contract

def test_the_same_seed_and_acts_give_the_same_talk_and_two_games_do_not_disturb_each_other():
    one, other = CarDealerEnv(), CarDealerEnv()
    texts = played(behaviour_policy(), CarDealerEnv(), 5).actions
    first = [one.reset(seed=5)] + [one.step(text) for text in texts]
    other.reset(seed=9)
    again = [one.reset(seed=5)]
    for text in texts:
        other._playing and other.step("Hello")
        again.append(one.step(text))
    assert first == again
    buyers = {(one.reset(), one.buyer)[1] for _ in range(20)}
    assert len(buyers) > 10


def test_every_part_of_the_buyer_can_be_given():
    env = CarDealerEnv()
    whole = {"brand": "Kia", "body": "truck", "features": ["sunroof", "navigation"], "budget": 90, "character": "wishes",
             "tone": "rude"}
    env.reset(seed=1, options={"buyer": whole})  # no such car
    assert (env.buyer.brand, env.buyer.body, env.buyer.features, env.buyer.budget) == ("Kia", "truck", ("sunroof", "navigation"),
                                                                                       900)
    for name, value in whole.items():
        env.reset(seed=1, options={"buyer": {name: value}})
        assert getattr(env.buyer, name) == {"budget": 900, "features": ("sunroof", "navigation")}.get(name, value)
    for tone, character, budget in itertools.product(TONES, CHARACTERS, BUDGETS):
        env.reset(options={"buyer": {"tone": tone, "character": character, "budget": budget // 10}})
        assert (env.buyer.tone, env.buyer.character, env.buyer.budget) == (tone, character, budget)


@pytest.mark.parametrize(("buyer", "message"), [
    ({"brand": "Toyotta"}, "did you mean 'Toyota'"), ({"budget": 40}, "accepted: 10, 30, 50, 70, 90"),
    ({"mood": "bad"}, "accepted: body, brand"),
    ({"features": []}, "1 to 4"), ({"features": "sunroof"}, "1 to 4"), ({"features": ["sunroof", "wings"]}, "accepted: "),
    ("rude", "a dict"),
    ({"features": ["sunroof"] * 2}, "different"), ({"budget": True}, "accepted"), ({"character": "angry"},
                                                                                   "bargain, impatient, wishes"),
    ({"tone": ["rude"]}, "accepted"), ({"features": [["sunroof"]]}, "accepted")])
def test_a_wrong_buyer_is_told_what_is_accepted(buyer, message):
    with pytest.raises(ValueError, match=message):
        CarDealerEnv().reset(options={"buyer": buyer})


def test_wrong_rewards_options_and_actions_are_errors():
    with pytest.raises(ValueError, match="did you mean 'paper'"):
        CarDealerEnv(reward="papers")
    env = CarDealerEnv()
    with pytest.raises(ValueError, match="did you mean 'buyer'"):
        env.reset(options={"buyers": {}})
    env.reset(seed=0)
    with pytest.raises(TypeError):
        env.step(3)
    with pytest.raises(ValueError, match="1,000"):
        env.step("a" * 1001)


def test_observations_and_infos_keep_the_contract():
    env = CarDealerEnv()
    for seed in range(40):
        observation, info = env.reset(seed=seed)
        over, rng, known = False, np.random.default_rng(seed), Known()
        assert all(f"{car.name}, {dollars(car.list_price)}" in observation for car in STOCK) and "four fifths" in observation
        while not over:
            assert observation.endswith("\n") and not observation.endswith("\n\n") and env.observation_space.contains(observation)
            assert set(info) == {"legal_actions", "invalid", "success", "message"} and info["legal_actions"] is None
            acts = anything(rng, known)
            known.remember(acts)
            observation, _, over, truncated, info = env.step(say(acts, rng))
            assert 1 <= len(observation.splitlines()) <= 3 and not truncated and not info["invalid"]
    env.reset(seed=0)
    assert env.step("xyz abc")[4]["invalid"] and not env.step("nice weather today")[4]["invalid"]


# ---------------------------------------------------------------------------------------------- words both ways

def test_every_line_of_the_buyer_is_told_back_with_its_slot():
    values = {"{brand}": ("Toyota", "Audi", "BMW"), "{type}": ("SUV", "sedan"), "{price}": (dollars(475), dollars(80)),
              "{feature}": tuple(FEATURES.values())}
    lists = [listed(names) for n in (1, 2, 3, 4) for names in itertools.islice(itertools.permutations(FEATURES.values(), n), 5)]
    for (situation, _), lines in LINES.items():
        slot = SLOTS.get(situation)
        for line in lines:
            for value in (lists if situation == "tell_features" else values[slot]) if slot else ("",):
                assert told(filled(line, slot, value) if slot else line) == (situation, value)
    assert told("I have no such line.") == ("", "") and in_hundreds("47,500 dollars") == 475


def test_what_a_seller_says_is_read_as_what_it_means():
    rng = np.random.default_rng(0)
    for k in range(400):
        known = Known()
        known.car, known.price = STOCK[k % len(STOCK)], STOCK[k % len(STOCK)].list_price
        acts = tuple(anything(rng, known))
        text = say(acts, rng)
        plain = [Act(a.kind, a.brand, a.type, "", a.features, a.price, a.amount, a.percent, a.about) for a in read(text)]
        wanted = [Act(a.kind, a.brand, a.type, "", a.features, a.price, a.amount, a.percent, a.about) for a in acts]
        assert plain == wanted, text
        assert all(car_meant(a, None, None) == car_meant(b, None, None) for a, b in zip(acts, read(text)) if a.kind == "present")


def test_a_sellers_words_survive_the_tiny_tokenizer():
    card, rng = CARDS["car-dealer"], np.random.default_rng(1)
    codec = Codec(tiny_tokenizer(card), card)
    for episode in behaviour_episodes(40, 8):
        ids = codec.encode(episode.turns)
        assert all(codec.tokenizer.unk_token_id not in some for some in ids)
        assert all(len(a) + len(b) <= card.turn_tokens for a, b in zip(ids[::2], ids[1::2]))
        for action in episode.actions:
            assert read(codec.decode_action(codec.action_ids(action))) == read(action)
    assert codec.decode_action(codec.action_ids(say([Act("greet")], rng)))


# ---------------------------------------------------------------------------------------------- sellers and data

DESIGN = {"discounter": (36.8, 0.0, 0.0), "feature-talker": (0.0, 41.6, 0.0), "straight": (9.7, 0.0, 43.1),
          "best": (42.9, 41.6, 43.1)}


@pytest.mark.parametrize("make", [*STYLES, BestSeller])
def test_a_sellers_mean_prices_are_those_of_the_design(make):
    env, policy = CarDealerEnv(), make()
    for character, mean in zip(CHARACTERS, DESIGN[policy.name], strict=True):
        by_budget = [[played(policy, env, 1_000 * budget + seed, {"buyer": {"character": character,
                                                                            "budget": budget // 10}}).total_return
                      for seed in range(24)] for budget in BUDGETS]
        # budgets are not drawn here, so only what varies within one counts
        error = (sum(np.var(returns, ddof=1) / len(returns) for returns in by_budget) ** 0.5) / len(BUDGETS)
        assert abs(np.mean(by_budget) - mean) <= 3 * error + 0.06, (policy.name, character, np.mean(by_budget), error)


def test_each_style_is_for_one_character_and_the_best_seller_sells_to_all():
    env = CarDealerEnv()
    sales = {}
    for make in (*STYLES, BestSeller, RandomSeller):
        policy = make()
        sales[policy.name] = [np.mean([played(policy, env, s, {"buyer": {"character": c}}).success for s in range(20)])
                              for c in CHARACTERS]
    assert sales["discounter"][1:] == [0, 0] and sales["feature-talker"][::2] == [0, 0] and sales["straight"][1] == 0
    assert min(sales["best"]) > 0.9 and max(sales["random"]) < 0.5


def test_sellers_play_any_buyer_that_options_can_give():
    env = CarDealerEnv()
    for seed, character in enumerate(CHARACTERS * 4):
        buyer = {"brand": "Kia", "body": "truck", "features": ["sunroof", "leather seats"], "character": character,
                 "budget": BUDGETS[seed % 5] // 10}
        for make in (*STYLES, BestSeller, RandomSeller, behaviour_policy):
            assert played(make(), env, seed, {"buyer": buyer}).terminated


def test_a_seller_advises_on_a_game_that_someone_else_plays():
    env, policy = CarDealerEnv(), BestSeller()
    text, info = env.reset(seed=0, options={"buyer": {"character": "impatient", "brand": "Toyota", "body": "SUV", "budget": 50}})
    policy.reset([0])
    policy.act([text], [info])
    for said in ("What do you want? What is your budget?", "And your budget?"):
        text, _, _, _, info = env.step(said)
        advice = policy.act([text], [{**info, "played": said}])[0]
    assert [act.kind for act in read(advice)] == ["ask_needs", "ask_budget"] or read(advice)[0].kind == "present"


def test_behaviour_data_is_seeded_and_can_be_started_again():
    episodes = list(behaviour_episodes(30, 3))
    assert episodes[:10] == list(behaviour_episodes(10, 3)) and episodes[:10] != list(behaviour_episodes(10, 4))
    assert 0 < sum(e.success for e in episodes) < 30 and all(e.info["invalid"] == 0 for e in episodes)
    for episode in episodes[:5]:
        env = CarDealerEnv()
        observations = [env.reset(seed=episode.seed)[0]] + [env.step(text)[0] for text in episode.actions]
        assert observations == episode.observations and episode.total_return == (env._price / 10 if episode.success else 0)


def test_the_cards_references_are_near_what_is_computed():
    card, found = CARDS["car-dealer"], references(150)
    for name, i in (("behaviour", 1), ("best", 2)):
        assert abs(getattr(found, name) - getattr(card.references, name)) <= 4 * found.standard_errors[i]
    assert checked_buyer({}) == {} and card.policies["best"]().name == "best"
