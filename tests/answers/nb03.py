"""Answers to the exercises of notebook 03, their stubs, and wrong answers that its checks must refuse."""


def where(seen):
    exits = seen.split("Exits: ")[1].split(".")[0]
    rooms = {"south, west": "bedroom", "east, south, west": "living room", "east, west": "dining room",
             "east, north, west": "kitchen", "south": "garden", "east": "backyard", "east, north": "office",
             "north, west": "bathroom"}
    return rooms[exits]


def where_stub(seen):
    return "kitchen"


def where_by_things(seen):  # things can be carried away
    for thing, room in (("stale food", "living room"), ("plate", "dining room"), ("bowl", "bedroom"), ("fridge", "kitchen")):
        if thing in seen:
            return room
    return "office" if "chest" in seen else "garden"


def where_by_the_task(seen):  # the task names rooms that one is not in
    return next((room for room in ("living room", "kitchen") if room in seen), where(seen))


def where_by_holder(seen):  # three rooms have a table, three have nothing
    return "kitchen" if "fridge" in seen else "office" if "chest" in seen else "living room" if "table" in seen else "garden"


def where_by_one_exit(seen):
    exits = seen.split("Exits: ")[1].split(".")[0]
    return {"east": "backyard", "south": "garden", "north": "bathroom", "west": "bedroom"}[exits.split(", ")[0]]


def where_in_capitals(seen):
    return where(seen).title()


ANSWERS = {
    "looks_alike": {"answer": "c", "stub": None, "wrong": ["a", "b", "none", 0]},
    "where": {"answer": where, "stub": where_stub,
              "wrong": [where_by_things, where_by_the_task, where_by_holder, where_by_one_exit, where_in_capitals]},
    "by_hand": {"answer": (0, 0.6), "stub": None, "wrong": [(0.6, 0), (0, 1), (0.3, 0.6), (0, 0), 0.6]},
    "cut": {"answer": "b", "stub": None, "wrong": ["a", "c", "all", 2]},
}
