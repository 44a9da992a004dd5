"""Answers to the exercises of notebook 13, their stubs, and wrong answers that its checks must refuse."""

import torch


def gae(rewards, values, next_values, last, gamma, lam):
    surprises = rewards + gamma * next_values - values
    advantages, following = torch.zeros_like(values), 0.0
    for t in reversed(range(len(values))):
        carried = 0.0 if last[t] else following       # nothing comes over from another game
        advantages[t] = following = surprises[t] + gamma * lam * carried
    return advantages


def gae_stub(rewards, values, next_values, last, gamma, lam):
    return rewards + gamma * next_values - values


def gae_over_all_games(rewards, values, next_values, last, gamma, lam):
    return gae(rewards, values, next_values, torch.zeros_like(last), gamma, lam)


def gae_cut_is_over(rewards, values, next_values, last, gamma, lam):
    return gae(rewards, values, next_values * ~last, last, gamma, lam)


def gae_without_lam(rewards, values, next_values, last, gamma, lam):
    return gae(rewards, values, next_values, last, gamma, 1.0)


def gae_carries_without_gamma(rewards, values, next_values, last, gamma, lam):
    surprises = rewards + gamma * next_values - values
    return gae(surprises, torch.zeros_like(values), torch.zeros_like(values), last, 1.0, lam)


def gae_forwards(rewards, values, next_values, last, gamma, lam):
    surprises, out, before = rewards + gamma * next_values - values, [], 0.0
    for t in range(len(values)):
        before = surprises[t] + gamma * lam * before
        out.append(before)
    return torch.stack(out)


def gae_returns(rewards, values, next_values, last, gamma, lam):
    return gae(rewards, values, next_values, last, gamma, lam) + values


def gae_without_values(rewards, values, next_values, last, gamma, lam):
    return gae(rewards, 0 * values, 0 * values, last, gamma, lam)


def gae_drops_the_last_surprise(rewards, values, next_values, last, gamma, lam):
    return gae(rewards, values, next_values, last, gamma, lam) * ~last


def gae_values_shifted_across_games(rewards, values, next_values, last, gamma, lam):
    return gae(rewards, values, torch.cat([values[1:], next_values[-1:]]), last, gamma, lam)


def clipped_loss(logprobs, old_logprobs, advantages, cliprange):
    ratio = (logprobs - old_logprobs).exp()
    clipped = ratio.clamp(1 - cliprange, 1 + cliprange)
    return torch.maximum(-advantages * ratio, -advantages * clipped).mean()


def clipped_loss_stub(logprobs, old_logprobs, advantages, cliprange):
    return -(advantages * (logprobs - old_logprobs).exp()).mean()


def clipped_loss_optimist(logprobs, old_logprobs, advantages, cliprange):
    ratio = (logprobs - old_logprobs).exp()
    return torch.minimum(-advantages * ratio, -advantages * ratio.clamp(1 - cliprange, 1 + cliprange)).mean()


def clipped_loss_always_clipped(logprobs, old_logprobs, advantages, cliprange):
    return -(advantages * (logprobs - old_logprobs).exp().clamp(1 - cliprange, 1 + cliprange)).mean()


def clipped_loss_wrong_sign(logprobs, old_logprobs, advantages, cliprange):
    return -clipped_loss(logprobs, old_logprobs, advantages, cliprange)


def clipped_loss_ratio_upside_down(logprobs, old_logprobs, advantages, cliprange):
    return clipped_loss(old_logprobs, logprobs, advantages, cliprange)


def clipped_loss_log_ratio(logprobs, old_logprobs, advantages, cliprange):
    ratio = 1 + logprobs - old_logprobs
    return torch.maximum(-advantages * ratio, -advantages * ratio.clamp(1 - cliprange, 1 + cliprange)).mean()


def clipped_loss_clips_logs(logprobs, old_logprobs, advantages, cliprange):
    near = (logprobs - old_logprobs).clamp(-cliprange, cliprange).exp()
    return torch.maximum(-advantages * (logprobs - old_logprobs).exp(), -advantages * near).mean()


def clipped_loss_sum(logprobs, old_logprobs, advantages, cliprange):
    return len(advantages) * clipped_loss(logprobs, old_logprobs, advantages, cliprange)


def clipped_loss_without_gradient(logprobs, old_logprobs, advantages, cliprange):
    return clipped_loss(logprobs.detach(), old_logprobs, advantages, cliprange)


def clipped_loss_clips_above_only(logprobs, old_logprobs, advantages, cliprange):
    ratio = (logprobs - old_logprobs).exp()
    return torch.maximum(-advantages * ratio, -advantages * ratio.clamp(max=1 + cliprange)).mean()


def whiten(advantages, floor):
    return (advantages - advantages.mean()) / (advantages.std().clamp(min=floor) + 1e-8)


def whiten_stub(advantages, floor):
    return advantages - advantages.mean()


def whiten_without_floor(advantages, floor):
    return (advantages - advantages.mean()) / (advantages.std() + 1e-8)


def whiten_without_mean(advantages, floor):
    return advantages / (advantages.std().clamp(min=floor) + 1e-8)


def whiten_adds_the_floor(advantages, floor):
    return (advantages - advantages.mean()) / (advantages.std() + floor + 1e-8)


def whiten_floor_on_the_variance(advantages, floor):
    return (advantages - advantages.mean()) / (advantages.var().clamp(min=floor) ** 0.5 + 1e-8)


def whiten_floor_is_a_ceiling(advantages, floor):
    return (advantages - advantages.mean()) / (advantages.std().clamp(max=floor) + 1e-8)


def whiten_by_variance(advantages, floor):
    return (advantages - advantages.mean()) / (advantages.var().clamp(min=floor) + 1e-8)


def whiten_puts_the_mean_back(advantages, floor):
    return whiten(advantages, floor) + advantages.mean()


def whiten_floors_the_advantages(advantages, floor):
    return ((advantages - advantages.mean()) / (advantages.std() + 1e-8)).clamp(min=floor)


ANSWERS = {
    "baseline": {"answer": "b", "stub": None, "wrong": ["a", "c", "d", "B or C", "", 1]},
    "gae": {"answer": gae, "stub": gae_stub,
            "wrong": [gae_over_all_games, gae_cut_is_over, gae_without_lam, gae_carries_without_gamma, gae_forwards,
                      gae_returns, gae_without_values, gae_drops_the_last_surprise, gae_values_shifted_across_games]},
    "clipped_loss": {"answer": clipped_loss, "stub": clipped_loss_stub,
                     "wrong": [clipped_loss_optimist, clipped_loss_always_clipped, clipped_loss_wrong_sign,
                               clipped_loss_ratio_upside_down, clipped_loss_log_ratio, clipped_loss_clips_logs,
                               clipped_loss_sum, clipped_loss_without_gradient, clipped_loss_clips_above_only]},
    "whiten": {"answer": whiten, "stub": whiten_stub,
               "wrong": [whiten_without_floor, whiten_without_mean, whiten_adds_the_floor, whiten_floor_on_the_variance,
                         whiten_floor_is_a_ceiling, whiten_by_variance, whiten_puts_the_mean_back,
                         whiten_floors_the_advantages]},
    "what_comes_first": {"answer": "b", "stub": None, "wrong": ["a", "c", "d", "A, then B", "", 2]},
}
