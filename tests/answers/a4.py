"""Answers to assignment A4, and wrong answers that its checks must refuse."""

import torch


def stub(*arguments):
    raise NotImplementedError()


def token_rewards(rewards, lengths, logprobs, ref_logprobs, kl_coef):
    seen = -kl_coef * (logprobs - ref_logprobs)
    seen[lengths.cumsum(0) - 1] += rewards
    return seen


def token_rewards_on_the_first_token(rewards, lengths, logprobs, ref_logprobs, kl_coef):
    seen = -kl_coef * (logprobs - ref_logprobs)
    seen[lengths.cumsum(0) - lengths] += rewards
    return seen


def token_rewards_on_every_token(rewards, lengths, logprobs, ref_logprobs, kl_coef):
    return rewards.repeat_interleave(lengths) - kl_coef * (logprobs - ref_logprobs)


def token_rewards_penalty_at_the_end(rewards, lengths, logprobs, ref_logprobs, kl_coef):
    last = lengths.cumsum(0) - 1
    seen = torch.zeros_like(logprobs)
    seen[last] = rewards - kl_coef * (logprobs - ref_logprobs)[last]
    return seen


def token_rewards_pays_for_leaving(rewards, lengths, logprobs, ref_logprobs, kl_coef):
    return token_rewards(rewards, lengths, logprobs, ref_logprobs, -kl_coef)


def packed_gae(rewards, values, mask, after, gamma, lam):
    advantages = torch.zeros_like(values)
    following, value = torch.zeros_like(after), after
    for t in reversed(range(values.shape[1])):
        here = rewards[:, t] + gamma * value - values[:, t] + gamma * lam * following
        following = torch.where(mask[:, t], here, following)
        value = torch.where(mask[:, t], values[:, t], value)
        advantages[:, t] = torch.where(mask[:, t], here, 0.0)
    return advantages


def packed_gae_discounts_every_token(rewards, values, mask, after, gamma, lam):
    return packed_gae(rewards, values * mask, mask | True, after, gamma, lam) * mask


def packed_gae_never_bootstraps(rewards, values, mask, after, gamma, lam):
    return packed_gae(rewards, values, mask, torch.zeros_like(after), gamma, lam)


def packed_gae_one_step(rewards, values, mask, after, gamma, lam):
    return packed_gae(rewards, values, mask, after, gamma, 0.0)


def packed_gae_does_not_mask(rewards, values, mask, after, gamma, lam):
    return torch.where(mask, packed_gae(rewards, values, mask, after, gamma, lam), -values)


def packed_gae_rows_run_on(rewards, values, mask, after, gamma, lam):
    flat = packed_gae(rewards.reshape(1, -1), values.reshape(1, -1), mask.reshape(1, -1), after[-1:], gamma, lam)
    return flat.reshape(values.shape)


def value_loss(values, old_values, returns, clip):
    errors = (values - returns) ** 2
    if clip is not None:
        near = old_values + (values - old_values).clamp(-clip, clip)
        errors = torch.maximum(errors, (near - returns) ** 2)
    return 0.5 * errors.mean()


def value_loss_never_clips(values, old_values, returns, clip):
    return value_loss(values, old_values, returns, None)


def value_loss_smaller_error(values, old_values, returns, clip):
    if clip is None:
        return value_loss(values, old_values, returns, None)
    near = old_values + (values - old_values).clamp(-clip, clip)
    return 0.5 * torch.minimum((values - returns) ** 2, (near - returns) ** 2).mean()


def value_loss_only_clipped(values, old_values, returns, clip):
    if clip is None:
        return value_loss(values, old_values, returns, None)
    return value_loss(old_values + (values - old_values).clamp(-clip, clip), old_values, returns, None)


def value_loss_without_half(values, old_values, returns, clip):
    return 2 * value_loss(values, old_values, returns, clip)


def value_loss_around_the_return(values, old_values, returns, clip):
    return value_loss(values, returns, old_values, clip)


def entropy(logits, legal):
    logprobs = torch.log_softmax(logits.masked_fill(~legal, -1e9), -1)
    return -(logprobs.exp() * logprobs).masked_fill(~legal, 0.0).sum(-1)


def entropy_of_all(logits, legal):
    return entropy(logits, legal | True)


def entropy_with_nan(logits, legal):
    p = torch.softmax(logits.masked_fill(~legal, -torch.inf), -1)
    return -(p * p.log()).sum(-1)


def entropy_with_a_nan_on_the_way_back(logits, legal):
    logprobs = torch.log_softmax(logits.masked_fill(~legal, -torch.inf), -1)
    return -(logprobs.exp() * logprobs).nan_to_num(0.0).sum(-1)


def entropy_in_bits(logits, legal):
    return entropy(logits, legal) / 0.6931472


def entropy_not_normalised(logits, legal):
    p = torch.softmax(logits, -1) * legal
    return -(p * (p + 1e-12).log()).sum(-1)


def entropy_mean(logits, legal):
    return entropy(logits, legal).mean()


def kl_control(logprobs, old_logprobs, kl_coef, target):
    move = logprobs - old_logprobs
    kl = (move.exp() - 1 - move).mean()
    if kl > 1.5 * target:
        kl_coef = 2 * kl_coef
    elif kl < target / 1.5:
        kl_coef = kl_coef / 2
    return kl, kl_coef


def kl_control_plain_difference(logprobs, old_logprobs, kl_coef, target):
    return (old_logprobs - logprobs).mean(), kl_control(logprobs, old_logprobs, kl_coef, target)[1]


def kl_control_squares(logprobs, old_logprobs, kl_coef, target):
    return 0.5 * ((logprobs - old_logprobs) ** 2).mean(), kl_control(logprobs, old_logprobs, kl_coef, target)[1]


def kl_control_turned_round(logprobs, old_logprobs, kl_coef, target):
    kl, new = kl_control(logprobs, old_logprobs, kl_coef, target)
    return kl, kl_coef * kl_coef / new


def kl_control_without_a_dead_band(logprobs, old_logprobs, kl_coef, target):
    kl = kl_control(logprobs, old_logprobs, kl_coef, target)[0]
    return kl, 2 * kl_coef if kl > target else kl_coef / 2


def kl_control_swapped_policies(logprobs, old_logprobs, kl_coef, target):
    return kl_control(old_logprobs, logprobs, kl_coef, target)


def mini_batches(game, parts, generator):
    games = game.unique()
    order = games[torch.randperm(len(games), generator=generator)]
    return [torch.isin(game, chosen).nonzero().flatten() for chosen in order.tensor_split(parts)]


def mini_batches_of_tokens(game, parts, generator):
    return torch.randperm(len(game), generator=generator).tensor_split(parts)


def mini_batches_in_order(game, parts, generator):
    return [torch.isin(game, chosen).nonzero().flatten() for chosen in game.unique().tensor_split(parts)]


def mini_batches_by_the_global_generator(game, parts, generator):
    return mini_batches(game, parts, torch.Generator().manual_seed(int(torch.randint(10**6, ()))))


def mini_batches_with_replacement(game, parts, generator):
    games = game.unique()
    order = games[torch.randint(len(games), (len(games),), generator=generator)]
    return [torch.isin(game, chosen).nonzero().flatten() for chosen in order.tensor_split(parts)]


def mini_batches_of_game_numbers(game, parts, generator):
    games = game.unique()
    return games[torch.randperm(len(games), generator=generator)].tensor_split(parts)


def mini_batches_drop_the_rest(game, parts, generator):
    games = game.unique()
    order = games[torch.randperm(len(games), generator=generator)]
    size = len(games) // parts
    return [torch.isin(game, order[k * size:(k + 1) * size]).nonzero().flatten() for k in range(parts)]


ANSWERS = {
    "token_rewards": {"answer": token_rewards, "stub": stub,
                      "wrong": [token_rewards_on_the_first_token, token_rewards_on_every_token,
                                token_rewards_penalty_at_the_end, token_rewards_pays_for_leaving]},
    "packed_gae": {"answer": packed_gae, "stub": stub,
                   "wrong": [packed_gae_discounts_every_token, packed_gae_never_bootstraps, packed_gae_one_step,
                             packed_gae_does_not_mask, packed_gae_rows_run_on]},
    "value_loss": {"answer": value_loss, "stub": stub,
                   "wrong": [value_loss_never_clips, value_loss_smaller_error, value_loss_only_clipped, value_loss_without_half,
                             value_loss_around_the_return]},
    "entropy": {"answer": entropy, "stub": stub,
                "wrong": [entropy_of_all, entropy_with_nan, entropy_with_a_nan_on_the_way_back, entropy_in_bits,
                          entropy_not_normalised, entropy_mean]},
    "kl_control": {"answer": kl_control, "stub": stub,
                   "wrong": [kl_control_plain_difference, kl_control_squares, kl_control_turned_round,
                             kl_control_without_a_dead_band, kl_control_swapped_policies]},
    "mini_batches": {"answer": mini_batches, "stub": stub,
                     "wrong": [mini_batches_of_tokens, mini_batches_in_order, mini_batches_by_the_global_generator,
                               mini_batches_with_replacement, mini_batches_of_game_numbers, mini_batches_drop_the_rest]},
}
