"""Answers to the exercises of notebook 21, their stubs, and wrong answers that its checks must refuse."""

import torch


def group_advantages(returns, size):
    groups = returns.view(-1, size)                          # a row a group
    means, spreads = groups.mean(1, keepdim=True), groups.std(1, keepdim=True)
    return ((groups - means) / (spreads + 1e-4)).flatten()


def group_advantages_stub(returns, size):
    return returns


def group_advantages_of_the_round(returns, size):
    return (returns - returns.mean()) / (returns.std() + 1e-4)


def group_advantages_not_divided(returns, size):
    groups = returns.view(-1, size)
    return (groups - groups.mean(1, keepdim=True)).flatten()


def group_advantages_divided_by_the_round_s(returns, size):
    groups = returns.view(-1, size)
    return ((groups - groups.mean(1, keepdim=True)) / (returns.std() + 1e-4)).flatten()


def group_advantages_of_a_population(returns, size):
    groups = returns.view(-1, size)
    return ((groups - groups.mean(1, keepdim=True)) / (groups.std(1, keepdim=True, correction=0) + 1e-4)).flatten()


def group_advantages_nan(returns, size):
    groups = returns.view(-1, size)
    return ((groups - groups.mean(1, keepdim=True)) / groups.std(1, keepdim=True)).flatten()


def group_advantages_of_every_size_th(returns, size):
    groups = returns.view(size, -1)
    return ((groups - groups.mean(0)) / (groups.std(0) + 1e-4)).flatten()


def group_advantages_as_a_table(returns, size):
    return group_advantages(returns, size).view(-1, size)


def group_advantages_of_the_others(returns, size):
    groups = returns.view(-1, size)
    others = (groups.sum(1, keepdim=True) - groups) / (size - 1)
    return ((groups - others) / (groups.std(1, keepdim=True) + 1e-4)).flatten()


def group_advantages_by_variance(returns, size):
    groups = returns.view(-1, size)
    return ((groups - groups.mean(1, keepdim=True)) / (groups.var(1, keepdim=True) + 1e-4)).flatten()


def no_signal(p, size):
    return p**size + (1 - p) ** size


def no_signal_stub(p, size):
    return 0.0


def no_signal_all_lost(p, size):
    return (1 - p) ** size


def no_signal_all_won(p, size):
    return p**size


def no_signal_is_signal(p, size):
    return 1 - no_signal(p, size)


def no_signal_of_the_other_games(p, size):
    return p ** (size - 1) + (1 - p) ** (size - 1)


def no_signal_both_at_once(p, size):
    return p**size * (1 - p) ** size


def env_mask(turns):
    ids = [i for part, _ in turns for i in part]
    mask = [int(agent_speaks) for part, agent_speaks in turns for _ in part]
    begin = mask.index(1)                                    # where the agent first speaks
    return ids[:begin], ids[begin:], mask[begin:]


def env_mask_stub(turns):
    ids = [i for part, _ in turns for i in part]
    return [], ids, [1] * len(ids)


def env_mask_all_of_the_completion(turns):
    prompt, completion, mask = env_mask(turns)
    return prompt, completion, [1] * len(mask)


def env_mask_of_everything(turns):
    prompt, completion, mask = env_mask(turns)
    return prompt, completion, [0] * len(prompt) + mask


def env_mask_upside_down(turns):
    prompt, completion, mask = env_mask(turns)
    return prompt, completion, [1 - m for m in mask]


def env_mask_drops_the_game_s_words(turns):
    prompt, completion, mask = env_mask(turns)
    said = [i for i, m in zip(completion, mask) if m]
    return prompt, said, [1] * len(said)


def env_mask_by_token(turns):
    prompt, completion, _ = env_mask(turns)
    said = {i for part, agent_speaks in turns if agent_speaks for i in part}
    return prompt, completion, [int(i in said) for i in completion]


def env_mask_prompt_is_the_first_turn(turns):
    ids = [i for part, _ in turns[1:] for i in part]
    return turns[0][0], ids, [int(agent_speaks) for part, agent_speaks in turns[1:] for _ in part]


def env_mask_one_a_turn(turns):
    prompt, completion, _ = env_mask(turns)
    first = next(n for n, (_, agent_speaks) in enumerate(turns) if agent_speaks)
    return prompt, completion, [int(agent_speaks) for _, agent_speaks in turns[first:]]


def grpo_loss(logprobs, old_logprobs, ref_logprobs, advantages, mask, epsilon, beta):
    ratio, whole_game = (logprobs - old_logprobs).exp(), advantages[:, None]
    gain = torch.minimum(ratio * whole_game, ratio.clamp(1 - epsilon, 1 + epsilon) * whole_game)
    away = ref_logprobs - logprobs
    price = ratio * (away.exp() - away - 1)
    return ((beta * price - gain) * mask).sum() / mask.sum()


def grpo_loss_stub(logprobs, old_logprobs, ref_logprobs, advantages, mask, epsilon, beta):
    return -(logprobs * advantages[:, None]).mean()


def grpo_loss_without_mask(logprobs, old_logprobs, ref_logprobs, advantages, mask, epsilon, beta):
    return grpo_loss(logprobs, old_logprobs, ref_logprobs, advantages, torch.ones_like(mask), epsilon, beta)


def grpo_loss_divides_by_all_tokens(logprobs, old_logprobs, ref_logprobs, advantages, mask, epsilon, beta):
    return grpo_loss(logprobs, old_logprobs, ref_logprobs, advantages, mask, epsilon, beta) * mask.mean()


def grpo_loss_mean_of_games(logprobs, old_logprobs, ref_logprobs, advantages, mask, epsilon, beta):
    each = [grpo_loss(*(x[i:i + 1] for x in (logprobs, old_logprobs, ref_logprobs, advantages, mask)), epsilon, beta)
            for i in range(len(mask))]
    return torch.stack(each).mean()


def grpo_loss_without_clip(logprobs, old_logprobs, ref_logprobs, advantages, mask, epsilon, beta):
    return grpo_loss(logprobs, old_logprobs, ref_logprobs, advantages, mask, 1e9, beta)


def grpo_loss_always_clipped(logprobs, old_logprobs, ref_logprobs, advantages, mask, epsilon, beta):
    near = old_logprobs + (logprobs - old_logprobs).exp().clamp(1 - epsilon, 1 + epsilon).log()
    return (grpo_loss(near, old_logprobs, near, advantages, mask, epsilon, 0.0)
            + grpo_loss(logprobs, old_logprobs, ref_logprobs, 0 * advantages, mask, epsilon, beta))


def grpo_loss_wrong_sign(logprobs, old_logprobs, ref_logprobs, advantages, mask, epsilon, beta):
    return grpo_loss(logprobs, old_logprobs, ref_logprobs, -advantages, mask, epsilon, beta)


def grpo_loss_rewards_distance(logprobs, old_logprobs, ref_logprobs, advantages, mask, epsilon, beta):
    return grpo_loss(logprobs, old_logprobs, ref_logprobs, advantages, mask, epsilon, -beta)


def grpo_loss_kl_the_other_way(logprobs, old_logprobs, ref_logprobs, advantages, mask, epsilon, beta):
    away, ratio = logprobs - ref_logprobs, (logprobs - old_logprobs).exp()
    price = (beta * ratio * (away.exp() - away - 1) * mask).sum() / mask.sum()
    return grpo_loss(logprobs, old_logprobs, ref_logprobs, advantages, mask, epsilon, 0.0) + price


def grpo_loss_price_without_ratio(logprobs, old_logprobs, ref_logprobs, advantages, mask, epsilon, beta):
    away = ref_logprobs - logprobs
    price = (beta * (away.exp() - away - 1) * mask).sum() / mask.sum()
    return grpo_loss(logprobs, old_logprobs, ref_logprobs, advantages, mask, epsilon, 0.0) + price


def grpo_loss_kl_from_the_player(logprobs, old_logprobs, ref_logprobs, advantages, mask, epsilon, beta):
    return grpo_loss(logprobs, old_logprobs, old_logprobs, advantages, mask, epsilon, beta)


def grpo_loss_without_gradient(logprobs, old_logprobs, ref_logprobs, advantages, mask, epsilon, beta):
    return grpo_loss(logprobs.detach(), old_logprobs, ref_logprobs, advantages, mask, epsilon, beta)


ANSWERS = {
    "group_advantages": {"answer": group_advantages, "stub": group_advantages_stub,
                         "wrong": [group_advantages_of_the_round, group_advantages_not_divided,
                                   group_advantages_divided_by_the_round_s, group_advantages_of_a_population,
                                   group_advantages_nan, group_advantages_of_every_size_th, group_advantages_as_a_table,
                                   group_advantages_of_the_others, group_advantages_by_variance]},
    "lost_game": {"answer": -0.5, "stub": None, "wrong": [-17.5, -70.0, -0.58, 0.5, 1.5, -1.5, "-0.5", False]},
    "no_signal": {"answer": no_signal, "stub": no_signal_stub,
                  "wrong": [no_signal_all_lost, no_signal_all_won, no_signal_is_signal, no_signal_of_the_other_games,
                            no_signal_both_at_once]},
    "env_mask": {"answer": env_mask, "stub": env_mask_stub,
                 "wrong": [env_mask_all_of_the_completion, env_mask_of_everything, env_mask_upside_down,
                           env_mask_drops_the_game_s_words, env_mask_by_token, env_mask_prompt_is_the_first_turn,
                           env_mask_one_a_turn]},
    "grpo_loss": {"answer": grpo_loss, "stub": grpo_loss_stub,
                  "wrong": [grpo_loss_without_mask, grpo_loss_divides_by_all_tokens, grpo_loss_mean_of_games,
                            grpo_loss_without_clip, grpo_loss_always_clipped, grpo_loss_wrong_sign, grpo_loss_rewards_distance,
                            grpo_loss_kl_the_other_way, grpo_loss_price_without_ratio, grpo_loss_kl_from_the_player,
                            grpo_loss_without_gradient]},
}
