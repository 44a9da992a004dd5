"""Answers to the exercises of notebook 15, their stubs, and wrong answers that its checks must refuse."""

import re

# ---------------------------------------------------------------------------------------------- action_of


def action_of(reply, legal):
    for line in reply.splitlines():
        if re.fullmatch(r"\s*`{3}\w*\s*", line):
            continue
        line = re.sub(r"\b(?:action|answer|guess|move)\s*:", " ", line, flags=re.I)
        words = " ".join(re.findall(r"[a-z]+", line.lower()))
        if words:
            named = [action for action in legal if f" {action} " in f" {words} "]
            return named[0] if len(named) == 1 else None
    return None


def action_of_stub(reply, legal):
    return reply if reply in legal else None


def action_of_first_line_only(reply, legal):  # a fence is no answer
    words = " ".join(re.findall(r"[a-z]+", reply.strip().split("\n")[0].lower()))
    named = [action for action in legal if f" {action} " in f" {words} "]
    return named[0] if len(named) == 1 else None


def action_of_anywhere(reply, legal):  # also what was only weighed
    words = " ".join(re.findall(r"[a-z]+", reply.lower()))
    named = [action for action in legal if f" {action} " in f" {words} "]
    return named[0] if named else None


def action_of_substrings(reply, legal):
    for line in reply.splitlines():
        words = " ".join(re.findall(r"[a-z]+", line.lower()))
        if words and not line.strip().startswith("```"):
            named = [action for action in legal if action in words]
            return named[0] if len(named) == 1 else None
    return None


def action_of_that_chooses(reply, legal):  # where two are named the first counts: a guess of the parser's
    for line in reply.splitlines():
        if re.fullmatch(r"\s*`{3}\w*\s*", line):
            continue
        words = " ".join(re.findall(r"[a-z]+", re.sub(r"\b(?:action|answer|guess|move)\s*:", " ", line, flags=re.I).lower()))
        if words:
            return next((action for action in legal if f" {action} " in f" {words} "), None)
    return None


def action_of_with_capitals(reply, legal):
    for line in reply.splitlines():
        line = re.sub(r"\b(?:action|answer|guess|move)\s*:", " ", line, flags=re.I)
        words = " ".join(re.findall(r"\w+", line))
        if words and not re.fullmatch(r"\s*`{3}\w*\s*", line):
            named = [action for action in legal if f" {action} " in f" {words} "]
            return named[0] if len(named) == 1 else None
    return None


# ---------------------------------------------------------------------------------------------- game_cost


def game_cost(system, observation, action, turns, price_in, price_out):
    read = sum(system + observation + k * (observation + action) for k in range(turns))
    return (read * price_in + turns * action * price_out) / 1e6


def game_cost_stub(system, observation, action, turns, price_in, price_out):
    return 0.0


def game_cost_of_one_conversation(system, observation, action, turns, price_in, price_out):  # as if the server remembered
    return ((system + turns * observation) * price_in + turns * action * price_out) / 1e6


def game_cost_without_memory(system, observation, action, turns, price_in, price_out):
    return (turns * (system + observation) * price_in + turns * action * price_out) / 1e6


def game_cost_of_rules_sent_once(system, observation, action, turns, price_in, price_out):
    read = system + sum(observation + k * (observation + action) for k in range(turns))
    return (read * price_in + turns * action * price_out) / 1e6


def game_cost_with_own_answer(system, observation, action, turns, price_in, price_out):
    read = sum(system + (k + 1) * (observation + action) for k in range(turns))
    return (read * price_in + turns * action * price_out) / 1e6


def game_cost_per_token(system, observation, action, turns, price_in, price_out):
    return 1e6 * game_cost(system, observation, action, turns, price_in, price_out)


def game_cost_at_one_price(system, observation, action, turns, price_in, price_out):
    return game_cost(system, observation, action, turns, price_in, price_in)


# ---------------------------------------------------------------------------------------------- my_prompt

PROMPT = """You play Wordle: find a hidden English word of five letters in at most six guesses.
After each guess you read five marks, one for each letter:
g means that the letter is in its place, y that the word has it elsewhere, b that the word does not have it (again).
Every guess must fit all marks that you have read.
Answer with one guess, five small letters with spaces between them, and nothing else, such as
s t a r e"""

ANSWERS = {
    "few_shot": {"answer": "b", "stub": None, "wrong": ["a", "c", "d", 2]},
    "action_of": {"answer": action_of, "stub": action_of_stub,
                  "wrong": [action_of_first_line_only, action_of_anywhere, action_of_substrings, action_of_that_chooses,
                            action_of_with_capitals]},
    "game_cost": {"answer": game_cost, "stub": game_cost_stub,
                  "wrong": [game_cost_of_one_conversation, game_cost_without_memory, game_cost_of_rules_sent_once,
                            game_cost_with_own_answer, game_cost_per_token, game_cost_at_one_price]},
    "my_prompt": {"answer": PROMPT, "stub": "Let's play Wordle. What is your guess?",
                  "wrong": [PROMPT.replace("\ns t a r e", ""), PROMPT.replace("s t a r e", "stare"),
                            PROMPT.replace("s t a r e", "S T A R E"), PROMPT.replace("six", "some"),
                            PROMPT.replace(", y that the word has it elsewhere", ""), PROMPT.replace(", and nothing else", ""),
                            PROMPT * 3, PROMPT.replace("such as\ns t a r e", "such as s t a r e")]},
}
