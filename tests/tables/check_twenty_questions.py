"""What must hold of the facts of Twenty Questions: `problems(...)` says what does not."""

from itertools import combinations

from lmrl_lab.tasks.phrases import plain

CATEGORY_ATTRIBUTE = {
    "Sports": "sports_equipment", "Animals": "animal", "Fruits": "fruit", "Vehicles": "vehicle", "Clothes": "clothing",
    "Electronics": "electronics", "Musical instruments": "musical_instrument", "Furniture": "furniture",
    "Office supplies": "office_supply", "Vegetables": "vegetable", "Art": "art", "Kitchen tools": "kitchen_tool",
    "Nature": "nature", "Toys": "toy", "Jewelry": "jewelry", "Garden supplies": "garden_supply", "Tools": "workshop_tool",
}
# "a -> b" : whatever is a, is b as well; "a -> not b" : whatever is a, is never b.
IMPLICATIONS = """
animal -> alive; animal -> natural; animal -> not plant; animal -> not edible; animal -> has_legs; animal -> has_eyes
animal -> has_teeth; alive -> natural; alive -> not man_made; natural -> not man_made; plant -> natural; edible -> natural
edible -> plant; edible -> used_up; edible -> found_in_kitchen; fruit -> edible; fruit -> plant; fruit -> sweet
vegetable -> edible; vegetable -> plant; vegetable -> not fruit; electric -> man_made; electronics -> electric
plugged_in -> electric; uses_batteries -> electric; connects_to_internet -> electric; plugged_in -> not uses_batteries
has_screen -> electric; used_with_computer -> electric; connects_to_internet -> has_screen
fits_in_pocket -> one_person_can_carry; fits_in_pocket -> not bigger_than_a_breadbox
bigger_than_a_breadbox -> bigger_than_a_hand; bigger_than_a_microwave -> bigger_than_a_breadbox
bigger_than_a_person -> bigger_than_a_microwave; bigger_than_a_car -> bigger_than_a_person
bigger_than_a_house -> bigger_than_a_car; bigger_than_a_person -> longer_than_a_metre
bigger_than_a_person -> not one_person_can_carry; bigger_than_a_car -> not found_indoors; held_in_hand -> one_person_can_carry
worn -> one_person_can_carry; worn -> man_made; clothing -> worn; jewelry -> worn; worn_on_head -> worn; worn_on_feet -> worn
worn_on_hands -> worn; worn_around_neck -> worn; covers_chest -> worn; covers_legs_or_feet -> worn
worn_on_feet -> covers_legs_or_feet; worn_on_feet -> comes_in_pairs; goes_around_body_part -> worn; mostly_for_women -> worn
for_cold_weather -> worn; has_gem -> jewelry; has_gem -> gold_or_silver; hangs_on_chain -> worn_around_neck
gold_or_silver -> made_of_metal; jewelry -> not clothing; made_of_metal -> not made_of_paper
made_of_metal -> not made_of_cloth; made_of_plastic -> man_made; made_of_cloth -> man_made; made_of_paper -> man_made
made_of_leather -> man_made; vehicle -> can_ride; vehicle -> found_outdoors; vehicle -> man_made
has_engine -> has_moving_parts; has_engine -> man_made; has_wheels -> man_made; has_wheels -> has_moving_parts
travels_on_road -> has_wheels; travels_on_road -> vehicle; travels_on_water -> vehicle; carries_many_people -> vehicle
carries_many_people -> bigger_than_a_car; carries_cargo -> vehicle; carries_cargo -> bigger_than_a_car
musical_instrument -> makes_music; wind_instrument -> musical_instrument; brass_instrument -> wind_instrument
brass_instrument -> made_of_metal; uses_reed -> wind_instrument; brass_instrument -> not uses_reed
in_orchestra -> musical_instrument; furniture -> found_indoors; used_for_sleeping -> furniture; made_for_sitting -> furniture
has_drawers -> furniture; has_drawers -> used_for_storage; has_drawers -> has_handle; workshop_tool -> tool
workshop_tool -> has_handle; tool -> has_handle; tool -> man_made; turns_screws -> workshop_tool; used_for_cutting -> tool
used_for_cutting -> sharp; garden_supply -> found_in_garden; pet -> animal; farm_animal -> animal; wild_animal -> animal
wild_animal -> not pet; wild_animal -> not farm_animal; eats_only_plants -> animal; cat_family -> animal
cat_family -> not eats_only_plants; has_horns_or_tusks -> animal; farm_animal -> eats_only_plants; has_seeds -> edible
has_stone -> fruit; has_stone -> not has_seeds; skin_not_eaten -> edible; grows_on_trees -> fruit; tropical -> fruit
grows_underground -> vegetable; grows_underground -> not grows_on_trees; eaten_raw -> edible; in_salads -> vegetable
drunk_as_juice -> edible; ball -> sports_equipment; bounces -> ball; kicked -> ball; thrown -> ball
hit_with_something -> ball; team_sport -> sports_equipment; hit_with_something -> not kicked
played_over_a_net -> sports_equipment; body_of_water -> nature; body_of_water -> liquid; body_of_water -> bigger_than_a_house
salt_water -> body_of_water; hemmed_in_by_land -> body_of_water; has_currents -> body_of_water; salt_water -> has_currents
kilometres_tall_or_deep -> bigger_than_a_house; artwork -> art; artwork -> found_in_museum; used_for_writing -> held_in_hand
used_for_writing -> used_up; uses_ink -> man_made; written_on -> made_of_paper; used_for_eating -> kitchen_tool
used_for_cooking -> found_in_kitchen; holds_liquid -> man_made; toy -> for_children; toy -> man_made; brand_name -> man_made
many_pieces -> toy; found_in_bathroom -> found_indoors; found_in_bedroom -> found_indoors; found_in_kitchen -> found_indoors
found_in_living_room -> found_indoors; found_in_office -> found_indoors; red -> not green; black -> not white
yellow -> not green; brown -> not white
"""



def implications():
    """(attribute, implied attribute, its value) of each rule above."""
    for text in IMPLICATIONS.replace("\n", ";").split(";"):
        if text.strip():
            a, b = (part.strip() for part in text.split("->"))
            yield a, b.removeprefix("not ").strip(), "0" if b.startswith("not ") else "1"


def problems(facts: list[dict], attributes: list[dict], doubtful: list[dict], others: list[dict]):
    """Yield what is wrong with the four tables, each a list of rows."""
    ids = [row["attribute"] for row in attributes]
    if list(facts[0]) != ["object", "category", *ids]:
        yield "the columns of the facts are not object, category and the attributes in their order"
    if len(facts) != 158:
        yield f"{len(facts)} objects"
    for row in facts:
        yield from (f"{row['object']}: {a} is {row[a]!r}" for a in ids if row[a] not in ("0", "1"))
        yield from (f"{row['object']}: category column {a}" for c, a in CATEGORY_ATTRIBUTE.items()
                    if (row["category"] == c) != (row[a] == "1"))
        yield from (f"{row['object']}: {a} but {b} is {row[b]}" for a, b, value in implications()
                    if row[a] == "1" and row[b] != value)
    yield from (f"{a} holds for {n} objects" for a in ids if not 2 <= (n := sum(row[a] == "1" for row in facts)) <= 156)
    known = [a for a in ids if a != "natural"]  # the opposite of man_made: it is no difference of its own
    described = {row["object"]: tuple(row[a] for a in known) for row in facts}
    for (r, one), (s, other) in combinations(described.items(), 2):
        if (n := sum(map(str.__ne__, one, other))) < 2:
            yield f"{r} and {s} differ in {n} attributes"
    wordings: dict[str, tuple[str, str]] = {}  # a plain wording -> its attribute, and whether it asks for it or for its opposite
    for row in attributes:
        phrasings = row["phrasings"].split(" | ")
        opposites = row["opposites"].split(" | ") if row["opposites"] else []
        if not 15 <= len(phrasings) <= 70:
            yield f"{row['attribute']}: {len(phrasings)} phrasings"
        said = [(row["question"], "the attribute"), *((text, "the attribute") for text in phrasings),
                *((text, "its opposite") for text in opposites)]
        for text, asks in said:
            if not (text[:1].isupper() and text.endswith("?")):
                yield f"{row['attribute']}: {text!r} is no question"
            if plain(text) in wordings:
                yield f"{text!r} asks for {asks} of {row['attribute']} and for {' of '.join(wordings[plain(text)])}"
            wordings[plain(text)] = asks, row["attribute"]
    yield from (f"other: {row['question']!r} asks for {' of '.join(wordings[plain(row['question'])])}" for row in others
                if plain(row["question"]) in wordings)
    value = {(row["object"], a): row[a] for row in facts for a in ids}
    yield from (f"doubtful: {row['object']}, {row['attribute']} is not {row['value']}" for row in doubtful
                if value.get((row["object"], row["attribute"])) != row["value"])
