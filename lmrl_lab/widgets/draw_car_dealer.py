"""Car Dealer as a chat: what was read from the seller's texts, the stock as a table, the car on the table, the buyer.

Pure functions to strings. The stock stands beside the chat, so the first observation is shown without it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from lmrl_lab.episode import Turn
from lmrl_lab.tasks.car_dealer import TURNS, CarDealerEnv, heard
from lmrl_lab.tasks.car_dealer_buyer import OPENING, STOCK, Buyer, Car, dollars, listed
from lmrl_lab.tasks.car_dealer_reading import Act
from lmrl_lab.tasks.car_dealer_words import FEATURES
from lmrl_lab.widgets.draw import CHAT, FAINT, INK, LINE, PANEL, PAPER, SANS, Note, card, draw_chat, draw_facts, hidden_words

# for who has played; `car_dealer.IN_WORDS` tells a language model the same as its part: "you buy only ..."
CHARACTERS = {"bargain": "buys only with a discount, and bargains",
              "wishes": "buys only what meets every wish, and wants to hear of each",
              "impatient": "dislikes talk of discounts and features, and long talk"}
PLAIN_ACTS = {"greet": "greets", "thanks": "thanks", "ask_budget": "asks for the budget", "close": "asks for the deal",
              "other": "makes small talk"}


def act_words(act: Act) -> str:
    """What a seller does, as a verb with its object: "shows the black Kia sedan"."""
    car = " ".join(word for word in (act.colour, act.brand, act.type) if word)
    features = listed(act.features) if act.features else ""
    if act.kind == "ask_needs":
        wish = features or car
        return f"asks about {wish}" if wish else f"asks for the {act.about or 'wishes'}"
    if act.kind == "present":
        return f"shows the {car}" + f" with {features}" * bool(features)
    if act.kind == "praise":
        return f"praises {features}"
    if act.kind == "price":
        return f"names {dollars(act.price)}" + f" for the {car}" * bool(car)
    if act.kind == "discount":
        return f"offers {f'{act.percent:g} percent' if act.percent is not None else dollars(act.amount)} off"
    return "takes the buyer's offer" if act.about == "offer" else PLAIN_ACTS[act.kind]


def notes(turns: Sequence[Turn]) -> dict[int, Note]:
    """Index of the seller's text -> what is read from it."""
    out = {}
    for i in range(1, len(turns), 2):
        acts, nothing, _ = heard(turns[i].text)
        if nothing:
            out[i] = Note("no act was understood, and it used up a turn", failed=True)
        else:
            out[i] = Note("understood: " + ", ".join(map(act_words, acts)))
    return out


# ------------------------------------------------------------------------------------------------------- the stock

HYPHENS = re.compile("(?<=navi)(?=gation)|(?<=pack)(?=age)|(?<=cam)(?=era)|(?<=sun)(?=roof)")  # where a narrow column may break


def draw_stock() -> str:
    """All cars with list price and features, a row each; it scrolls under its head. Cells are bare: a saved notebook has it."""
    head = f"position:sticky;top:0;background:{PANEL};vertical-align:bottom;font-weight:normal;font-size:10px"
    left = "padding:1px 4px;text-align:left"
    heads = [("car", f"{left};width:172px"), ("list price", "width:40px"), *((name, "") for name in FEATURES.values())]
    columns = "".join(f'<th scope="col" style="{head};{more}">{HYPHENS.sub("&shy;", name)}</th>' for name, more in heads)
    body = "".join(
        f'<tr style="background:none;border-top:1px solid {LINE}"><th scope="row" style="{left};font-weight:normal;'
        f'white-space:nowrap">{car.name}</th><td>{100 * car.list_price:,}</td>'
        + "".join("<td>✓</td>" if name in car.features else "<td></td>" for name in FEATURES.values()) + "</tr>" for car in STOCK)
    return (f'<div role="group" aria-label="The stock: {len(STOCK)} cars" tabindex="0" style="color:{INK};background:{PAPER};'
            f'{SANS};line-height:1.3;border:1px solid {LINE};border-radius:6px;width:{CHAT}px;max-width:100%;'
            f'box-sizing:border-box;max-height:190px;overflow:auto;margin-bottom:6px"><table style="border-collapse:collapse;'
            f'font-size:11px;text-align:center;table-layout:fixed;width:100%;min-width:500px;margin:0"><thead>'
            f'<tr style="background:none">{columns}</tr></thead><tbody>{body}</tbody></table></div>')


def aside(turns: Sequence[Turn]) -> str:
    """The stock, where the game is about these cars; published ones are not."""
    return draw_stock() if turns[0].text.endswith(OPENING) else ""


# ------------------------------------------------------------------------------------------------------- the ledger

def on_the_table(env: CarDealerEnv) -> tuple[Car | None, int]:
    """The car that is talked about, and its price now in hundreds of dollars."""
    return env._car, env._price


def draw_ledger(env: CarDealerEnv) -> str:
    """Which car is talked about, and at what price it would be sold now."""
    car, price = on_the_table(env)
    words = "no car yet" if car is None else (
        f"{car.name} for {dollars(price)}" + f" (list price {100 * car.list_price:,})" * (price != car.list_price)
        + f", never under {100 * car.floor:,}")
    return card(f'<span style="color:{FAINT}">On the table:</span> {words}', "margin-top:4px;font-size:13px")


def best_sale(buyer: Buyer) -> tuple[int, Car] | None:
    """The most that a buyer would pay for any car of the stock, in hundreds of dollars, and which car that is."""
    sales = [(buyer.reservation(car), car) for car in STOCK if buyer.reservation(car) >= car.floor]
    return max(sales, key=lambda sale: sale[0], default=None)


def hidden_facts(turns: Sequence[Turn], env: CarDealerEnv) -> str:
    """Who the buyer was, what he would have paid, and what he paid."""
    buyer = env.buyer
    facts = {"looked for": f"{buyer.brand} {buyer.body} with {listed(buyer.features)}", "budget": dollars(buyer.budget),
             "character": f"{buyer.character}: {CHARACTERS[buyer.character]}", "tone": buyer.tone}
    if env.simulator is None:  # a language model pays what it likes
        best = best_sale(buyer)
        facts["most to be had"] = "nothing: he buys none of these cars" if best is None else (
            f"{dollars(best[0])}, for the {best[1].name}")
    if len(turns) > 1 and turns[2 * (len(turns) // 2) - 1].reward > 0:
        car, price = on_the_table(env)
        facts["bought"] = f"the {car.name} for {dollars(price)}"
        if env.simulator is None:
            facts["bought"] += f"; he would have paid up to {dollars(buyer.reservation(car, env._strain))}"
    return draw_facts("The buyer", facts)


# ------------------------------------------------------------------------------------------------------- the view

def view(turns: Sequence[Turn], env: CarDealerEnv | None, reveal: bool, player: str | Sequence[str] = "You",
         hidden: Mapping[str, str] | None = None) -> str:
    """The chat and what is on the table; with `reveal` who the buyer was, from the env or from a published record."""
    said = [Turn(turns[0].text.removesuffix(OPENING), False), *turns[1:]]
    chat = draw_chat(said, player, "Buyer", notes(turns), f"turn {{}} of {TURNS}")
    if env is not None:
        chat += draw_ledger(env)
    if not reveal or env is None and not hidden:
        return chat
    return chat + (hidden_facts(turns, env) if env is not None else draw_facts("The buyer", hidden))


def say(turns: Sequence[Turn]) -> str:
    """The buyer's last words, for screen readers: the chat shows them."""
    return hidden_words(f"Buyer: {turns[-1].text.removesuffix(OPENING).strip()}")
