"""Every text of the second page. Plain words; the paper's symbol or term stands beside them."""

TAB_WASH, TAB_LEARN = "Wash facts", "Learn with forgetting"
LEAD = (
    "Fine-tune on a task while the model lets go of what is in its way (LWF), beside plain fine-tuning: the "
    "same data in the same order, the same number of learning steps."
)

# 1 What to learn, what to forget
SETUP = "1  What to learn, and what may be forgotten"
TASK = "Learn"
TASK_INFO = "the learning task D_L: a test set that is never trained on says how well"
OWN, OWN_TITLE, OWN_SHORT = "own", "questions and answers of your own …", "your own questions"
TEXTS = {  # by the prefix of the box
    "learn-": "Questions with answers to learn, one pair a line",
    "forget-": "Questions with answers that may be forgotten, one pair a line",
}
TEXT_INFO = "question | answer, CSV, TSV, JSON, chats, or sets such as gsm8k, QASC, MedMCQA; at least 20 rows"
TEXT_EMPTY = "Which river runs through Paris? | the Seine\nWhich river runs through Vienna? | the Danube"
UPLOAD = "Take a file"
CHECK = "Check"
FORGET = "May be forgotten"
FORGET_INFO = (
    "forgetting tasks D_F: the model says what it knows of them by itself; some of that is unlearned"
)
NO_TASK = "Choose a task to learn."
NO_FORGET = "Choose at least one task that may be forgotten."
EMPTY_TEXT = "Nothing to learn yet: paste questions with answers, or take a file."
EMPTY_FORGET = "Nothing to forget yet: paste questions with answers, or take a file."
ROWS_HEAD = ["row", "question", "right answers", "how"]
ROWS_LEFT = "Rows that are left out"
ABOUT = "{about} {train} to train on, {test} to be asked."
DRAWN = "{samples} of {train}"
ABOUT_FORGET = "{about} {train} prompts to be answered by the model itself, {test} others to be asked."
SEEDS = "Seeds"
SEEDS_INFO = "how often it is all done, each time with other draws; several give an interval"

ADVANCED = "Advanced"
LABELS = {
    "select": "Which answers are unlearned",
    "loss": "How they are unlearned (loss)",
    "alpha": "Size of an unlearning step, α",
    "interval": "Learning steps to one unlearning step, N_u",
    "portion": "How many are unlearned, portion of |D_L|",
    "lr": "Learning rate, η",
    "steps": "Learning steps",
    "samples": "Training samples that a seed draws",
    "subset": "Weights that are trained",
    "ahead": "All forgetting ahead of learning",
    "frontier": "Other learning rates too: the frontier",
}
INFOS = {
    "select": "chosen by forgetting confidence (FC), how much an answer's gradient conflicts with the task's",
    "loss": "gradient ascent makes an answer unlikely; maximum entropy makes the model undecided",
    "alpha": "as a part of a learning step: no weight moves by more than about α · η in one",
    "interval": "1: after every learning step; larger: more seldom",
    "portion": "1: as many as there are training samples; 0: none, which is plain fine-tuning",
    "lr": "how far a learning step goes at most (AdamW), for both; it rises at first and then falls (cosine)",
    "steps": "of 8 samples each, for both",
    "samples": "of the learning task's; 0: all. With few of them more is to be gained by forgetting",
    "subset": "the rest stays as it is; LoRA trains small additions to every layer",
    "ahead": "a control: as many unlearning steps, but before the first learning step",
    "frontier": "a higher learning rate alone buys some of what forgetting buys, so both are run at five of "
    "them, with a control that learns the chosen answers instead; about six times as long",
}
SELECTIONS = [
    ("highest FC (the paper's)", "high"),
    ("lowest FC (a control)", "low"),
    ("drawn at random (a control)", "random"),
    ("against the task by cosine (ours)", "cosine"),
]
LOSSES = [("gradient ascent", "ga"), ("maximum entropy", "me")]
SUBSETS = [("all", "all"), ("MLPs only", "mlp"), ("last layer only", "last"), ("LoRA", "lora")]
NEEDED = "Advanced: {label} is missing."
WHOLE = "Advanced: {label} must be a whole number."
SEEDS_BAD = "Seeds must be a whole number from 1 to {most}."
TOO_MANY_STEPS = (
    "{steps:,} learning steps × {seeds} would be {all:,}; here {most:,} are allowed: "
    "take fewer steps or seeds."
)
WITHIN_LIMITS = "Advanced: {label} must lie between {low:g} and {high:g}."

# What it will cost
COST = (
    "About {time} and {memory} of memory beside the model, for {steps} learning steps. "
    "Measured on this machine with a few of them."
)
COST_BUSY = (
    "About {time} and {memory} of memory beside the model, for {steps} learning steps. "
    "Measured on this machine while another run is going on, which takes time of its own."
)
COST_NONE = "What it will cost is measured when a task is chosen."
SECONDS, MINUTES = "{x:.0f} s", "{x:.0f} min"

# A run
RUN, STOP = "Run", "Stop"
RUN_HEAD = "2  Run"
IDLE = "Nothing is running."
STARTING = "Starting."
WAITING = "Waiting: {runs} before yours."
DONE = "Done in {seconds} s."
STOPPED = "Stopped before the end. What was measured until then stands below; the model is as it was."
STOPPING = "Stopping at the next step."
LOST = (
    "The program ended in the middle of this run, after {seconds} s, at: {phase}{share}. What it had found "
    "is lost, the model is as it was; press Run to do it again."
)
LOST_WAITING = "The program ended before this run had begun; press Run to do it again."
FAILED = "The run was ended. {text}"
TOO_OLD = "The last run of this browser is no longer here; it was too old."
WARNING = "Mind: {text}"

# 3 What is in the way
CONFIDENCE = "3  What the model says by itself, and what of it is in the way"
PICKED = {
    "high": "The {n} with the highest forgetting confidence (FC) are unlearned.",
    "low": "The {n} with the lowest forgetting confidence (FC) are unlearned: a control.",
    "random": "{n} of them, drawn at random, are unlearned: a control, so there is no cut.",
    "cosine": "The {n} whose gradient pulls most against the task's (cosine, ours) are unlearned.",
}
OWN_SAID = "The model gave {all} answers of its own, {right} of them right. {picked}"
SHOW_BY, SHOW_BY_INFO = "Show by", "which of the two scores the points stand at, from left to right"
BY = {
    "score": "forgetting confidence (FC)",
    "cosine": "cosine (ours)",
}
AXIS = {
    "score": "FC ÷ ½η² without its constant, Σ F g_x² − 2 Σ F g_x g_L; linear near 0, then logarithmic",
    "cosine": "cosine of the cross term: −1 pulls against the task, +1 with it",
}
STRIP = "Every answer as a point: ◆ unlearned, ○ kept"
STRIP_KEYS = "Click a point, or go from one to the next with the arrow keys"
STRIP_TASK = "{task}: {chosen} of {n} unlearned"
CUT = "cut"
POINT_TEXT = "{i} of {n}: {task}, {prompt} → {answer}, {name} {value}, {what}"
CHOSEN, NOT_CHOSEN = "◆ unlearned", "○ kept"
RIGHT, WRONG = "✓ right", "✗ wrong"
NO_POINT = "Choose a point above, or a number in the table: its text and its three terms will stand here."
DETAIL = "Answer no. {i}"
DETAIL_HEAD = ["what", "value", "in words"]
DETAILS = {
    "prompt": ("prompt", "of the forgetting task"),
    "answer": ("the model's own answer", "greedy: what it says by itself"),
    "right": ("is it right?", "by the task's list; unlearned or not does not depend on it"),
    "task": ("task", ""),
    "selected": ("so it is", ""),
    "logp": ("log p of the answer", "mean a token, in nats: 0 is certain"),
    "score": ("FC ÷ ½η², without its constant", "Σ F g_x² − 2 Σ F g_x g_L: what ranks the answers"),
    "own": ("Σ F g_x²", "how much the answer asks of weights that matter to the task"),
    "cross": ("Σ F g_x g_L", "below 0: it pulls against the task; above: with it"),
    "constant": ("Σ F g_L²", "the task's own term, the same for every answer"),
    "whole": ("FC ÷ ½η², all three", "the constant drowns the others, so it is left out above"),
    "cosine": ("cosine of the cross term", "ours, not the paper's: the second term without the sizes"),
}
SAMPLES = "All of the model's own answers"
SAMPLES_HEAD = ["no.", "task", "prompt", "its own answer", "✓?", "FC", "cosine", "so it is"]
SORT_INFO = "Press a column's name to sort by it, a number to see all about an answer."
CONFIDENCE_CSV = "Download the answers with all terms (CSV)"

# Learning curves
CURVES = "How it learns"
CURVE_TITLES = {
    "learning": "learning task: right answers",
    "loss": "learning loss in nats, lower is better",
    "forgetting": "forgetting task: right answers",
}
CURVE_N = "{title}, n = {n}"
ARM_NAMES = {"vanilla": "plain", "lwf": "LWF", "base": "base", "extra": "control"}
SIGNS = {"vanilla": "○", "lwf": "◆", "base": "□", "extra": "✕"}  # as they are drawn
LEGEND = {"vanilla": "plain fine-tuning", "lwf": "with forgetting (LWF)"}
CURVE_STEPS = "learning steps"
CURVE_UNLEARNING = "▲ an unlearning step of LWF"
CURVE_AHEAD = "▲ all unlearning steps, ahead"
CURVE_SEEDS = "mean of {n} seeds"
CURVE_HOVER = "step %{x}: %{y:.3g}<extra>%{fullData.name}</extra>"

# 4 What came of it
OUTCOME = "4  What came of it"
MADE = "{task}, forgetting {forget}; {seeds}, on {model}."
GAIN = {
    "more": "With forgetting the model learned more than without: {difference}.",
    "less": "With forgetting the model learned less than without: {difference}.",
    "none": "Forgetting did not help the learning, as far as can be shown: {difference}.",
}
KEPT = {
    "more": "It kept more of all other facts: {difference}.",
    "less": "It kept less of all other facts: {difference}.",
    "none": "In all other facts no difference is shown: {difference}.",
}
FORGOTTEN = "Right answers on the forgetting task went from {base} to {lwf} (plain: {vanilla})."
DIFFERENCE = "{points} points ({inside}, n = {n})"
INTERVAL = "{low} to {high}"
INSIDE = "95 % interval {interval}"
INSIDE_NOTHING = "0 lies inside the 95 % interval, {interval}"
NO_INTERVAL = "no interval"
N_SEEDS, N_ASKED = "{n} seeds", "{n} asked"
SIDE = "Right answers of the three models"
SIDE_HEAD = ["asked", "base", "plain", "LWF", "LWF − plain", "n"]
SIDE_INFO = (
    "In brackets the 95 % interval over what was asked. LWF − plain: in points, paired, over seeds where "
    "there are several, else over what was asked. The learning task should rise, the forgetting task may "
    "fall, everything else should stay; perplexity is how much plain text surprises the model, lower is "
    "better."
)
SIDE_PLOT = "Right answers: □ base, ○ plain, ◆ LWF"
MEASURES = {
    "learning": "learning task",
    "forgetting": "forgetting task",
    "retained": "all other facts",
    "reasoning": "reasoning, all families",
}
PERPLEXITY = "perplexity of held-out text"
SIDE_POINTS = "{points} ({interval})"
ANSWERS = "What the three models say"
ANSWERS_HEAD = ["of the", "asked", "right answer", "base", "plain", "LWF"]
OF_WHAT = {"learning": "learning task", "forgetting": "forgetting task", "retained": "other facts"}

# The frontier
FRONTIER = "More learning, or only a higher learning rate?"
FRONTIER_INFO = (
    "A higher learning rate learns more and keeps less. Each line is one way of training at five learning "
    "rates; the one further up and to the right is better. ✕: the control, which learns the chosen answers "
    "in place of unlearning them. η: the learning rate."
)
FRONTIER_X, FRONTIER_Y = "other facts kept", "learning task: right answers"
FRONTIER_N = "{axis}, n = {n}"
FRONTIER_HOVER = (
    "learning rate %{customdata}: %{y:.1f} % learned, %{x:.1f} % kept<extra>%{fullData.name}</extra>"
)
FRONTIER_NAMES = {
    "vanilla": "plain fine-tuning",
    "lwf": "with forgetting (LWF)",
    "extra": "control: learns them instead",
}
EQUAL = {
    "more": "Where plain fine-tuning keeps as much, LWF still learned more: {difference}.",
    "less": "Where plain fine-tuning keeps as much, LWF learned less: {difference}.",
    "none": "Where plain fine-tuning keeps as much, no difference is shown: {difference}.",
    "one": "Where plain fine-tuning keeps as much, LWF − plain is {points} points of right answers. One seed "
    "says nothing about chance: take several for an interval.",
}

# Every task with every other, recorded
MATRIX = "Where forgetting helps and where it does not: every task with every other"
MATRIX_NONE = (
    "This was not recorded on this model. It takes about an hour: python -m unlearning bench forgetting"
)
MATRIX_INFO = (
    "Recorded before, on {model}, with {seeds} seeds that no setting was chosen on. Each learning task was "
    "run with each forgetting task, with and without forgetting. Of {pairs} pairs LWF learned more in {more} "
    "(▲), less in {less} (▼), and in {none} no difference is shown: 0 lies inside the 95 % interval in "
    "brackets. Of so many pairs about one in forty would be ▲ by chance alone, and as many ▼."
)

# 5 Take away
TAKE = "5  Take it away"
DOWNLOADS = {
    "lwf": "The change, LWF (delta)",
    "vanilla": "The change, plain (delta)",
    "answers": "The answers (CSV)",
    "confidence": "The confidence (CSV)",
    "record": "The whole run (JSON)",
}

HINTS = {  # what a column's name means
    "base": "The model as it was before.",
    "plain": "Plain fine-tuning (vanilla).",
    "LWF": "Learning with forgetting.",
    "LWF − plain": "In points, paired; in brackets the 95 % interval.",
    "n": "How many were asked.",
    "FC": "Forgetting confidence without its constant, divided by ½η².",
    "cosine": "Of the cross term; below 0 it pulls against the task.",
    "✓?": "Is it right? ✓ yes, ✗ no.",
    "right answer": "What the list says is right.",
    "no.": "Press a number to see all about this answer.",
}
