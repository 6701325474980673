//! The metrics of training by their names, for help and completion.

/// What a step tells; by the method of training some of it.
pub(super) const METRICS: &[(&str, &str)] = &[
    ("loss", "What the step made smaller."),
    ("learning_rate", "Of this step."),
    ("grad_norm", "The length of the gradient."),
    ("num_tokens", "Tokens of the step."),
    ("perplexity", "Of sft: exp of the loss."),
    ("epoch", "Of sft: passes over the examples so far."),
    ("reward", "Of grpo: the mean reward."),
    (
        "reward_std",
        "Of grpo: the mean deviation inside of a group.",
    ),
    (
        "frac_reward_zero_std",
        "Of grpo: the share of groups whose rewards are all the same.",
    ),
    ("rewards/missing", "Of grpo: samples without a verdict."),
    ("kl", "Of grpo: the distance from the starting weights."),
    ("entropy", "Of grpo: the mean entropy of the next token."),
    (
        "clip_ratio/low_mean",
        "Of grpo: the share of tokens clipped below.",
    ),
    ("clip_ratio/high_mean", "Of grpo: the share clipped above."),
    (
        "clip_ratio/region_mean",
        "Of grpo: the share clipped at all.",
    ),
    (
        "completions/mean_length",
        "Of grpo: tokens of a completion.",
    ),
    ("completions/max_length", "Of grpo: tokens of the longest."),
    (
        "completions/clipped_ratio",
        "Of grpo: the share that reached the limit.",
    ),
    (
        "sampling/sampling_logp_difference/mean",
        "Of grpo: how far the sampler's log-probabilities are from the trainer's.",
    ),
    (
        "sampling/sampling_logp_difference/max",
        "Of grpo: the farthest.",
    ),
];

/// What a script of its own may log, by TRL's names, beside [`METRICS`].
const FURTHER: &[(&str, &str)] = &[
    (
        "rewards/chosen",
        "Of dpo: the mean implicit reward of what was chosen.",
    ),
    ("rewards/rejected", "Of dpo: that of what was rejected."),
    (
        "rewards/margins",
        "Of dpo: how much more what was chosen is worth.",
    ),
    (
        "rewards/accuracies",
        "Of dpo: the share of pairs in which the chosen is worth more.",
    ),
    (
        "logps/chosen",
        "Of dpo: the mean log-probability of what was chosen.",
    ),
    ("logps/rejected", "Of dpo: that of what was rejected."),
    (
        "mean_token_accuracy",
        "Of sft: the share of tokens that were the most likely.",
    ),
    ("completions/min_length", "Of grpo: tokens of the shortest."),
    ("step_time", "Seconds that the step took."),
    ("eval_loss", "The loss on examples that are not learnt."),
];

/// What a run may log.
pub(super) const LOGGED: &[(&str, &str)] = &joined();

const fn joined() -> [(&'static str, &'static str); METRICS.len() + FURTHER.len()] {
    let mut all = [("", ""); METRICS.len() + FURTHER.len()];
    let mut at = 0;
    while at < all.len() {
        all[at] = if at < METRICS.len() {
            METRICS[at]
        } else {
            FURTHER[at - METRICS.len()]
        };
        at += 1;
    }
    all
}
