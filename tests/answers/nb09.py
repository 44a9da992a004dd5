"""Answers to the exercises of notebook 09, their stubs, and wrong answers that its checks must refuse."""

import re

from lmrl_lab.tasks.car_dealer_buyer import STOCK, dollars, in_hundreds, told

# ---------------------------------------------------------------------------------------------- reservation


def reservation(character, budget, list_price, met, wanted):
    worth = (budget + list_price) * (wanted + met) // (4 * wanted)
    if character == "bargain":
        return min(budget, worth, 9 * list_price // 10)
    if character == "wishes":
        return min(budget, list_price) if met == wanted else 0
    return min(budget, worth, list_price)


def reservation_stub(character, budget, list_price, met, wanted):
    return budget


def reservation_without_worth(character, budget, list_price, met, wanted):
    if character == "wishes":
        return min(budget, list_price) if met == wanted else 0
    return min(budget, 9 * list_price // 10 if character == "bargain" else list_price)


def reservation_of_everybody_bargains(character, budget, list_price, met, wanted):
    worth = (budget + list_price) * (wanted + met) // (4 * wanted)
    if character == "wishes":
        return min(budget, list_price) if met == wanted else 0
    return min(budget, worth, 9 * list_price // 10)


def reservation_with_patient_wishes(character, budget, list_price, met, wanted):  # he pays for half of his wishes
    worth = (budget + list_price) * (wanted + met) // (4 * wanted)
    return min(budget, worth, 9 * list_price // 10 if character == "bargain" else list_price)


def reservation_worth_nothing_without_wishes(character, budget, list_price, met, wanted):
    worth = (budget + list_price) * met // (2 * wanted)
    if character == "bargain":
        return min(budget, worth, 9 * list_price // 10)
    if character == "wishes":
        return min(budget, list_price) if met == wanted else 0
    return min(budget, worth, list_price)


def reservation_above_the_budget(character, budget, list_price, met, wanted):
    worth = (budget + list_price) * (wanted + met) // (4 * wanted)
    if character == "bargain":
        return min(worth, 9 * list_price // 10)
    if character == "wishes":
        return list_price if met == wanted else 0
    return min(worth, list_price)


# ---------------------------------------------------------------------------------------------- posterior


def posterior(prior, chances, answers):
    found = dict(prior)
    for answer in answers:
        found = {who: p * chances[who].get(answer, 0) for who, p in found.items()}
    total = sum(found.values())
    return {who: p / total for who, p in found.items()}


def posterior_stub(prior, chances, answers):
    return dict(prior)


def posterior_not_normalised(prior, chances, answers):
    found = dict(prior)
    for answer in answers:
        found = {who: p * chances[who].get(answer, 0) for who, p in found.items()}
    return found


def posterior_without_prior(prior, chances, answers):
    return posterior({who: 1 for who in prior}, chances, answers)


def posterior_of_the_last_answer(prior, chances, answers):
    return posterior(prior, chances, answers[-1:])


def posterior_added_up(prior, chances, answers):
    found = {who: p + sum(chances[who].get(answer, 0) for answer in answers) for who, p in prior.items()}
    return {who: p / sum(found.values()) for who, p in found.items()}


def posterior_of_the_likeliest_only(prior, chances, answers):
    found = posterior(prior, chances, answers)
    return {who: float(p == max(found.values())) for who, p in found.items()}


# ---------------------------------------------------------------------------------------------- my_seller


def facts(heard):
    known = {}
    for text in heard:
        known.update(told(line) for line in text.splitlines())
    return known


def fitting(known, limit):
    wants = set(re.split(", | and ", known.get("tell_features", "")))

    def met(car):
        right = (car.brand == known.get("tell_brand")) + (car.type == known.get("tell_type"))
        return right + len(wants & set(car.features))
    return max((car for car in STOCK if car.floor <= limit), key=lambda car: (met(car), min(car.list_price, limit)))


def my_seller(heard, said):
    if len(said) < 2:
        return "What are you looking for? How much can you spend?"
    known = facts(heard)
    limit = in_hundreds(known.get("tell_budget") or known.get("tell_budget_vague") or "50,000 dollars")
    car = fitting(known, limit)
    if len(said) == 2:
        wishes = f" with {known['tell_features']}" if "tell_features" in known else ""
        return f"I have a {car.name}{wishes} for {dollars(min(car.list_price, limit))}. Do we have a deal?"
    if "refuse_to_tell_budget" in known:
        return "I can take 4 percent off. Do we have a deal?"
    if "tell_features" in known:
        return "Do we have a deal?"
    return f"Make it {dollars(min(car.list_price, limit) * (25 - len(said)) // 23)}. Do we have a deal?"


def my_seller_stub(heard, said):
    return "Hello! What are you looking for?"


def my_seller_that_only_discounts(heard, said):
    if not said:
        return "What are you looking for? How much can you spend?"
    known = facts(heard)
    car = fitting(known, in_hundreds(known.get("tell_budget_vague", "100,000 dollars")))
    return f"I have a {car.name}." if len(said) == 1 else "I can take 4 percent off. Do we have a deal?"


def my_seller_that_plays_the_buyer(heard, said):
    return "Deal! I'll take it for $90,000."


def my_seller_for_a_single_character(heard, said):  # shows the right car at its list price, and never moves
    if len(said) < 2:
        return "What are you looking for? How much can you spend?"
    known = facts(heard)
    car = fitting(known, in_hundreds(known.get("tell_budget", "100,000 dollars")))
    return f"I have a {car.name} for {dollars(car.list_price)}. Do we have a deal?"


def my_seller_that_says_nothing(heard, said):
    return None


def my_seller_that_talks_too_long(heard, said):
    return "a car " * 200


# ---------------------------------------------------------------------------------------------- price_paid


def price_paid(talk):
    for who, text in talk:
        if who == "buyer":
            for line in text.splitlines():
                situation, value = told(line)
                if situation == "accept":
                    return in_hundreds(value) / 10
    return 0.0


def naive_reward(talk):
    words = " ".join(text for _, text in talk)
    prices = re.findall(r"[\d,]*\d,\d{3}", words)
    deal = re.search("deal|take it", words, re.I)
    return int(prices[-1].replace(",", "")) / 1000 if prices and deal else 0.0


def price_paid_stub(talk):
    return naive_reward(talk)


def price_paid_of_whoever_accepts(talk):
    for _, text in talk:
        for line in text.splitlines():
            situation, value = told(line)
            if situation == "accept":
                return in_hundreds(value) / 10
    return 0.0


def price_paid_last_in_the_buyer_s_words(talk):  # his counter offer is no sale
    words = " ".join(text for who, text in talk if who == "buyer")
    prices = re.findall(r"[\d,]*\d,\d{3}", words)
    return int(prices[-1].replace(",", "")) / 1000 if prices else 0.0


def price_paid_in_dollars(talk):
    return 1000 * price_paid(talk)


def price_paid_in_hundreds(talk):
    return 10 * price_paid(talk)


ANSWERS = {
    "styles": {"answer": "c", "stub": None, "wrong": ["a", "b", "d", 3]},
    "reservation": {"answer": reservation, "stub": reservation_stub,
                    "wrong": [reservation_without_worth, reservation_of_everybody_bargains, reservation_with_patient_wishes,
                              reservation_worth_nothing_without_wishes, reservation_above_the_budget]},
    "posterior": {"answer": posterior, "stub": posterior_stub,
                  "wrong": [posterior_not_normalised, posterior_without_prior, posterior_of_the_last_answer, posterior_added_up,
                            posterior_of_the_likeliest_only]},
    "my_seller": {"answer": my_seller, "stub": my_seller_stub,
                  "wrong": [my_seller_that_only_discounts, my_seller_that_plays_the_buyer, my_seller_for_a_single_character,
                            my_seller_that_says_nothing, my_seller_that_talks_too_long]},
    "price_paid": {"answer": price_paid, "stub": price_paid_stub,
                   "wrong": [price_paid_of_whoever_accepts, price_paid_last_in_the_buyer_s_words, price_paid_in_dollars,
                             price_paid_in_hundreds]},
}
