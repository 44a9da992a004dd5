"""Answers to the exercises of notebook 04, their stubs, and wrong answers that its checks must refuse."""

from collections import Counter
from math import ceil, floor, log, log2

from lmrl_lab.tasks import wordle

# ---------------------------------------------------------------------------------------------- marks


def in_place(guess, word):
    return [a == b for a, b in zip(guess, word, strict=True)]


def letters_left(guess, word):
    return Counter(b for a, b in zip(guess, word, strict=True) if a != b)


def marks(guess, word):
    found = ["g" if here else "b" for here in in_place(guess, word)]
    left = letters_left(guess, word)
    for i, letter in enumerate(guess):
        if found[i] == "b" and left[letter] > 0:
            found[i] = "y"
            left[letter] -= 1
    return "".join(found)


def marks_stub(guess, word):
    return "".join("g" if here else "b" for here in in_place(guess, word))


def marks_without_counts(guess, word):  # the paper's rule
    return "".join("g" if a == b else "y" if a in word else "b" for a, b in zip(guess, word, strict=True))


def marks_in_one_pass(guess, word):  # a yellow before a green takes the letter away from it
    left, found = Counter(word), ""
    for a, b in zip(guess, word, strict=True):
        found += "g" if a == b else "y" if left[a] > 0 else "b"
        left[a] -= 1
    return found


def marks_green_not_used_up(guess, word):
    found, left = ["g" if here else "b" for here in in_place(guess, word)], Counter(word)
    for i, letter in enumerate(guess):
        if found[i] == "b" and left[letter] > 0:
            found[i] = "y"
            left[letter] -= 1
    return "".join(found)


def marks_counted_from_the_right(guess, word):
    found, left = ["g" if here else "b" for here in in_place(guess, word)], letters_left(guess, word)
    for i in reversed(range(5)):
        if found[i] == "b" and left[guess[i]] > 0:
            found[i] = "y"
            left[guess[i]] -= 1
    return "".join(found)


def marks_never_counted_down(guess, word):
    found, left = ["g" if here else "b" for here in in_place(guess, word)], letters_left(guess, word)
    return "".join("y" if mark == "b" and left[a] > 0 else mark for mark, a in zip(found, guess, strict=True))


# ---------------------------------------------------------------------------------------------- information


def information(guess, possible):
    sizes = Counter(wordle.marks(guess, word) for word in possible).values()
    return sum(n / len(possible) * log2(len(possible) / n) for n in sizes)


def information_stub(guess, possible):
    return 0.0


def information_in_nats(guess, possible):
    sizes = Counter(wordle.marks(guess, word) for word in possible).values()
    return sum(n / len(possible) * log(len(possible) / n) for n in sizes)


def information_of_equal_groups(guess, possible):  # as if all answers were equally likely
    return log2(len({wordle.marks(guess, word) for word in possible}))


def information_by_answers(guess, possible):  # each answer counts once, however likely it is
    sizes = Counter(wordle.marks(guess, word) for word in possible).values()
    return sum(log2(len(possible) / n) for n in sizes) / len(sizes)


def information_of_the_mean(guess, possible):  # the logarithm of a mean is not the mean of the logarithms
    sizes = Counter(wordle.marks(guess, word) for word in possible).values()
    return log2(len(possible) / sum(n * n / len(possible) for n in sizes))


def information_of_possible_words_only(guess, possible):
    return information(guess, possible) if guess in possible else 0.0


def information_left(guess, possible):  # what is still unknown afterwards
    return log2(len(possible)) - information(guess, possible)


# ---------------------------------------------------------------------------------------------- games_needed


def games_needed(gap, spread):
    return ceil(8 * spread**2 / gap**2)


def games_needed_stub(gap, spread):
    return 1


def games_needed_of_one_mean(gap, spread):  # the other mean is uncertain as well
    return ceil(4 * spread**2 / gap**2)


def games_needed_for_one_error(gap, spread):
    return ceil(2 * spread**2 / gap**2)


def games_needed_linear(gap, spread):
    return ceil(8 * spread / gap)


def games_needed_rounded_down(gap, spread):
    return floor(8 * spread**2 / gap**2)


ANSWERS = {
    "marks": {"answer": marks, "stub": marks_stub,
              "wrong": [marks_without_counts, marks_in_one_pass, marks_green_not_used_up, marks_counted_from_the_right,
                        marks_never_counted_down]},
    "information": {"answer": information, "stub": information_stub,
                    "wrong": [information_in_nats, information_of_equal_groups, information_by_answers,
                              information_of_the_mean, information_of_possible_words_only, information_left]},
    "outside": {"answer": "c", "stub": None, "wrong": ["a", "b", "d", 0.39]},
    "probe": {"answer": "drink", "stub": "shade", "wrong": ["share", "table", "break", "third", "drikn", 4]},
    "games_needed": {"answer": games_needed, "stub": games_needed_stub,
                     "wrong": [games_needed_of_one_mean, games_needed_for_one_error, games_needed_linear,
                               games_needed_rounded_down]},
}
