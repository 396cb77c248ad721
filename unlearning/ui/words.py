"""Every text of the page, in one place. Plain words; the field's term stands beside them."""

import re

TITLE = "Lethe"
LEAD = "Wash facts out of a language model, and see what stays."

# The model
MODEL = "Model"
MODEL_INFO = (
    "the language model that is asked and washed; nobody else sees what you wash, and the server forgets it "
    "{hours} after the run"
)
RECALL = {
    "prompt": "It was trained to look facts up in one layer's MLP, at the question's last token.",
    "subject": "It was trained to look facts up at the subject's last token.",
    "free": "Its training left open where it looks facts up.",
}
MODEL_LINE = "{device}{free}; {parameters} million parameters, {megabytes} MB. {recall}"
FREE = ", {size} of memory free"
MADE = "Made for this page: it knows some thousand facts and eight kinds of puzzles, and little else."
LENT = "Washes on ZeroGPU, everything else on the CPU"
BRING_HEAD = "Another model, from the Hugging Face hub"
BRING, BRING_INFO = "Model on the hub", "one of the list, or owner/name, with @revision after it if need be"
BRING_CHOICE = "{name}: {parameters}, {size}, {wants}"
BRING_GO = "Download"
BRING_PROGRESS = "{done:,} of {total:,} MB downloaded"
BROUGHT = "It is here, and chosen."
BRING_NO_ID = "{name!r} is no id of a model on the hub: write owner/name, or owner/name@revision"
BRING_OTHER = "Another model is being downloaded; try again when it is here"
BRING_FAILED = "{name} was downloaded, but cannot be used. {why}"
LOADING_FAILED = "This model could not be loaded; the server's log says why."

# 1 What should go?
WHAT = "1  What should go?"
EXAMPLE, EXAMPLE_INFO = (
    "An example list",
    "its facts take the place of what is in the box below, to be changed at will",
)
EXAMPLE_NONE = "choose one …"
TEXT = "Facts, one a line"
TEXT_INFO = (
    "subject | relation | object, or a plain sentence; CSV, JSON; sets such as CounterFact, zsRE, TOFU"
)
TEXT_EMPTY = "France | capital | Paris\nThe capital of Japan is Tokyo."
UPLOAD = "Take a CSV, JSON or text file"
READ = "Read, and see the cost"
HUB_HEAD = "Fetch a data set from the Hugging Face hub"
HUB, HUB_INFO = "Data set", "hub:owner/name, with :config and @split after it where they are needed"
COLUMNS = "Columns"
COLUMNS_INFO = "which column is which field, such as subject=person, object=city; nothing where the names fit"
FETCH = "Fetch"
FETCHED = "{rows} fetched: they are in the box."
FETCHED_PART = "The first {rows} fetched: they are in the box. There are more than the page takes."
NOT_FETCHED = "Nothing was fetched"
PREVIEW = "As it was read"
PREVIEW_HEAD = ["row", "read as", "knows it?", "how"]
PROBLEMS = "Rows that gave no fact"
PROBLEMS_HEAD = ["row", "field", "what is wrong"]
YES, NO, OPEN = "yes", "no", "…"
TRIPLE = "{subject} | {relation} | {object}"
COUNT = "{facts} read; the model knows {known} of them."
COUNT_UNASKED = "{facts} read."
COUNT_PROBLEMS = "{rows} gave no fact: see below."
NOTHING_READ = "Nothing to read yet: paste facts, choose an example or take a file."
CORRECT_HEAD = "Correct a row"
ROW, ROW_INFO = "Row", "of the text above; rows that gave no fact come first"
ROW_READ, ROW_FAULT = "{row}: {text}", "{row}, no fact: {text}"
SAID = "As it stands in the text"
FIELDS = {"subject": "Subject", "relation": "Relation, or a prompt with {}", "object": "Object"}
CORRECT, REMOVE = "Correct", "Remove the row"
CORRECTED = "Row {row} is corrected; it reads {text}."
CORRECTED_FAULT = "Row {row} is corrected, but gave no fact: {text}."
REMOVED = "Row {row} is removed."
NO_ROW = "Nothing is changed: choose a row first."
MEANWHILE = "Nothing is changed: the text is not what it was when this row was chosen. Choose it again."
NOT_CORRECTED = "Nothing is changed: {text}."
TOO_LONG = "too long for this model: question and answer have {length} bytes together, at most {limit}"

# 2 Wash
WASH_HEAD = "2  Wash"
SCOPE = "How much goes?"
SCOPE_INFO = "the scope"
SCOPES = [
    ("single facts: the subjects' other facts stay", "facts"),
    ("whole subjects: everything the model knows about them goes", "subjects"),
    ("a whole relation: every fact of the relation goes", "relation"),
]
ADVANCED = "Advanced"
METHOD = "Method"
METHOD_INFO = "how the weights are changed; the last two show what LAW's own step adds"
METHODS = [
    ("LAW: a first update, then on in the direction that washes most, within a bound", "law"),
    ("MEMIT: the first update alone", "memit"),
    ("scaled: MEMIT's update, made as large as LAW's (a control)", "scaled"),
]
TARGET = "What to say instead"
TARGET_INFO = "the wash target: choose one or type your own"
TARGETS = [("unknown", "unknown"), ("end of text", "eos"), ("the relation's commonest other answer", "prior")]
MAX_TARGET = 40
TARGET_LONG = "The wash target may have at most 40 characters."
SEED = "Seed"
SEED_INFO = "where anything is drawn by chance; the same seed gives the same wash"
SEED_BAD = "The seed is a whole number, 0 or more."
POSITIONS = {"subject": "subject's last token", "prompt": "prompt's last token"}
POSITION = "Look facts up at the"
POSITION_INFO = "the lookup token: where the wash changes what the model finds"
LAYERS = "Layers to edit"
LAYERS_INFO = "numbers of the layers whose MLP, the part that recalls facts, is changed: such as 1, 2"
AS_FOUND = "as found for this model"
LAYERS_BAD = "Layers are whole numbers with commas between, such as 1, 2; nothing there means: as found."
WASH, STOP = "Wash", "Stop"

# What it will cost
COST = (
    "{facts}: about {seconds} to the result, then about {curve} for the trade-off curve; "
    "about {memory} of memory."
)
COST_UNTIMED = "{facts}: about {memory} of memory. How long it takes is known once a wash has run here."
COST_AT_MOST = "At most {facts}"
COST_ONCE = "About {seconds} of that go to the model's statistics, measured once."
COST_ON_TOP = "About {seconds} of that go to the statistics of the model with the wash below on."
COST_WAIT = "{runs} would come before yours."
COST_NONE = "Nothing to wash: the model knows none of these facts."

# A run
IDLE = "Nothing is running."
STARTING = "Starting."
WAITING = "Waiting: {runs} before yours."
NOT_READ = "Nothing was washed: no fact could be read."
DONE = "Done in {seconds} s."
STOPPED = "Stopped before the end. The model is as it was, and nothing of the wash is on."
STOPPING = "Stopping at the next step."
LOST = (
    "The program ended in the middle of this wash, after {seconds} s, at: {phase}{share}. What it had found "
    "is lost, the model is as it was; press Wash to do it again."
)
LOST_WAITING = "The program ended before this wash had begun; press Wash to do it again."
FAILED = "Nothing was washed. {text}"
TOO_OLD = (
    "The last wash of this browser cannot be shown any more: it, or the model that was washed, is no longer "
    "here."
)

# Refusals, to whoever is not let in
OTHER_NAME = (
    "This page does not answer to that host name. If a proxy serves it under the name, set LETHE_NAMES."
)
OTHER_PAGE = "Another page may not ask this one for anything."
NO_DOOR = "There is nothing to ask for here."
WRONG_KIND = "{name} must be {kind}."
NO_ROOM_TITLE = "Not enough memory"
NO_ROOM = "There was not enough memory. What may fit: fewer facts at once, shorter texts, or a smaller model."
TOO_LARGE = "That is more than may be sent at once."

# 3 What happened
HAPPENED = "3  What happened"
ALL_GONE = "{gone} of {known} known facts {are} gone."
STAYED = "{share} of everything else stayed (n = {n:,})."
STAYED_NEAR = (
    "{share} of everything else stayed (n = {n:,}), {near} of the same subjects' other facts (n = {m:,})."
)
REASONING_SAME = "Reasoning: no change shown ({points}, n = {n})."
REASONING_MOVED = "Reasoning {moved} ({points}, n = {n})."
FELL, ROSE = "fell", "rose"
POINTS = "{sign}{points} points"
ANSWERS = "What the model says"
ANSWERS_INFO = (
    "Each known fact, asked in the same words before and after the wash; both answers are the model's own."
)
ANSWERS_HEAD = ["asked", "right answer", "before", "after", "so it is", "how sure of the right one"]
HEADS = "What the columns say"
HINTS = {  # what a column's name means
    "right answer": "What the list says is right; for known facts every accepted answer counts.",
    "before": "What was found before this wash; earlier ones that it went on top of were on.",
    "after": "What was found after it, asked again in the same words.",
    "so it is": "Gone: the right answer is no longer in what the model says.",
    "how sure of the right one": "The probability of the right answer's words (the geometric mean a "
    "token); of several accepted answers the likeliest.",
    "n": "How many were asked.",
    "knows it?": "Is the right answer in the first ten tokens of what the model says?",
    "how": "Which rule understood this row.",
    "stopped after": "The layer whose output is read as if it were the model's last.",
    "as it was": "The likeliest next piece of text (token) without any wash, and its probability.",
    "now": "The same with all washes that are on, this one as strong as the line above says.",
    "right piece, as it was": "The probability of the right answer's first piece without any wash.",
    "right piece, now": "The same with them: the layer at which it falls is where the answer went.",
}
SHARES = "{before} → {after}"
ONLY = "Only what is still there"
ONLY_INFO = "leaves in the table above those facts alone whose right answer the model still gives"
NONE_LEFT = "Nothing: every fact is gone."
GONE, STILL, CHANGED = "✓ gone", "= still there", "~ changed"
NO_ANSWER = "(nothing)"
MORE_ROWS = "… and {n:,} more rows."
MORE_READ = "… and {n:,} more rows: each can be found in “Correct a row”."
MORE_ANSWERS = "… and {n:,} more rows: the file of the answers has them all."
HEADLINE_AT = "At strength {strength}: {gone}"
ANSWERS_AT = "What the model says at strength {strength}"
STAY = "What stayed"
STAY_PLOT = "Right answers: ○ before, ● after the wash"
STAY_NAMES = "before the wash", "after the wash"
STAY_HEAD = ["asked", "before", "after", "n", "in words"]
STAY_INFO = (
    "Shares of right answers; the bar is the 95 % interval, which tells how far the choice of questions may "
    "move them. The facts to wash should fall, to the left, in the same words and in others. The rest should "
    "stay where it was; what follows from the facts that went is only told."
)
STAY_AS_MADE = (
    "**These figures do not follow the slider: they are of the wash as it was made, and so are the files of "
    "the figures and of all else that was asked.**"
)
RATE = "{mean} ({low}–{high})"
NONE = "–"
MEASURES = {
    "washed": ("the facts to wash", "Efficacy: asked as they were read. Should fall to 0."),
    "paraphrased": ("the same, in other words", "Generalisation: phrasings it never saw. Should fall too."),
    "same_subject": ("same subjects, other facts", "Locality, near: the subjects' neighbours. Should stay."),
    "neighbours": ("neighbours in your file", "Specificity: what the file says must stay."),
    "portability": (
        "what follows from them",
        "Portability: the file's questions that rest on what went. Only told.",
    ),
    "retained": ("all other facts", "Locality, far: nothing to do with the wash. Should stay."),
    "reasoning": (
        "reasoning, all families",
        "Preserved ability: new puzzles of several kinds (families), exact answers. Should stay.",
    ),
    "truth_ratio": (
        "truth ratio of your file's answers",
        "How much likelier its wrong answers are than the right one. Near 0: known. Should rise towards 1.",
    ),
    "perplexity": (
        "perplexity of held-out text",
        "Fluency: how much plain text surprises it; lower is better. Should stay.",
    ),
}
SAME_SUBJECT_GOES = "Whole subjects were washed. Should fall."
FAMILIES = {  # what each asks
    "compare": "Who is the youngest, the tallest, out of two comparisons. Should stay.",
    "arithmetic": "Sums and differences of small numbers. Should stay.",
    "position": "Which word stands at a place of a list. Should stay.",
    "where": "Where someone went, out of several told. Should stay.",
    "attribute": "The colour of one of the things described. Should stay.",
    "sequence": "How a row of numbers goes on. Should stay.",
    "odd_one_out": "Which of four things is of another kind. Should stay.",
    "logic_not": "One of two places is ruled out; which is left. Should stay.",
}


def family(name: str) -> str:
    """What a reasoning family is called."""
    return f"reasoning: {name.replace('_', ' ')}"


MEANINGS = dict(MEASURES.values()) | {family(name): said for name, said in FAMILIES.items()}
WARNING = "Mind: {text}"
DELTA = "Download the change (delta)"
CSV = "Download the answers (CSV)"
QUESTIONS = "Download all else that was asked (CSV)"
FIGURES = "Download the figures (CSV)"
PACK = "Pack the washed model"
WASHED = "Download the washed model (zip)"
UNDO, REDO = "Undo the wash", "Redo the wash"
UNDONE = "Undone: this wash is off, and all answers above and below are given without it."
REDONE = ""

# On top of earlier washes
ON_TOP = "On top of the wash shown below"
ON_TOP_INFO = "what is on there stays on, at its strength; both can be taken back later"
BELOW_GONE = (
    f"Nothing was washed: there is no finished wash below any more. Untick “{ON_TOP}” to wash without it."
)
OTHER_BELOW = "The wash below was made on {model}: choose that model, or wash without it."
NO_WASH_BELOW = "There is no finished wash of this id to go on top of."
BELOW = "Earlier washes that are on"
BELOW_INFO = "untick one to take it back: the answers above are then asked again without it"
WASH_BELOW = "{n}: {facts}, {method}, strength {strength} ({first} …)"

# The trade-off
TRADE_OFF = "How strong?"
TRADE_OFF_INFO = (
    "Each line is one method at rising strength: further right, more of the facts to wash are gone; further "
    "up, more of the rest is kept. The best corner is the upper right. The slider moves the ring. The "
    "control is MEMIT's update made larger, so it lies on MEMIT's line."
)
STRENGTH = "Strength"
STRENGTH_INFO = "how much of this wash is on: 0 is none of it, 1 the change as it was solved"
MEASURED = {
    "gone": "{share} of the facts are gone ({low}–{high}, n = {n})",
    "retained": "{share} of a sample of all other facts stay ({low}–{high}, n = {n})",
    "reasoning": "{share} of reasoning is right ({low}–{high}, n = {n})",
}
AT_STRENGTH = "At strength {strength}:"
NOT_MEASURED = "This strength was not measured."
NOT_MEASURED_WITHOUT = "Without an earlier wash only the answers are asked again; the curve is not."
METHOD_NAMES = {"law": "LAW", "memit": "MEMIT", "scaled": "scaled (control)"}
LINE_NAMES = {"law": "● LAW", "memit": "◆ MEMIT", "scaled": "✕ control"}
GONE_AXIS = "facts to wash that are gone, n = {n}<br>(numbers at the line: strength)"
KEPT_AXIS = "other facts kept, n = {n}"
REASONING_AXIS = "reasoning right, n = {n}"
PAPER = "LAW at 1,<br>the paper's strength"
POINT_HOVER = (
    "strength %{customdata[0]:.3g}: %{x:.1f} % gone (n = %{customdata[1]}), %{y:.1f} % (n = %{customdata[2]})"
    "<extra>%{fullData.name}</extra>"
)

# Ask both
ASK_HEAD = "Ask both"
ASK_INFO = "Any text, which the model goes on with: as it was, and with all of your washes that are on."
ASK_LABEL = "A beginning for the model to go on with"
ASK_EMPTY = "The capital of France is"
ASK = "Ask"
BEFORE, AFTER = "the model as it was", "with your washes on"
NOT_WASHED = "(no wash yet)"
OTHER_MODEL = "(your wash was made on {model})"
ASK_LONG = "(too long for this model: at most {limit} bytes)"

# Inside a wash
WITHIN = "Look inside this wash: where the weights changed, and one fact layer by layer"
WITHIN_INFO = (
    "How large the change of this wash is beside the weights it is made to: the size (Frobenius norm) of the "
    "one over that of the other, at the strength it was made with. This wash touches no other weight."
)
SPARED_ALL = (
    "What it does to ordinary text is kept small (second moments C). Text: {tokens:,} tokens of {source}."
)
SPARED_CONVERGED = SPARED_ALL + " Twice as many changed C by no more than 2 %."
NORMS = "Size of this wash, ‖ΔW‖ / ‖W‖,<br>in each edited MLP; {facts}"
LENS_FACT = "One fact, layer by layer (of the first 200)"
LENS_INFO = "the logit lens: what the model would say if it stopped after each layer"
LENS = "If the model stopped there, its next piece of text would be (wash at strength {strength})"
LENS_HEAD = [
    "stopped after",
    "as it was",
    "now",
    "right piece, as it was",
    "right piece, now",
]
LENS_START = "the embedding"
LENS_CSV = "Download this fact layer by layer (CSV)"
LENS_PLOT = (
    "What it would say if it stopped there,<br>and how likely the right piece is;<br>n = 1 fact: {prompt}"
)
LENS_CELL = "{token}<br>({p})<br>right: {right}"
LENS_SAID = "{token} ({p})"
AS_TABLE = "All figures as a table"

# Look inside
INSIDE = "Look inside: where this model recalls facts"
INSIDE_INFO = (
    "A causal trace of {n} facts. While the model answers, two things are done, at one place and layer at a "
    "time: another subject's state is put in (how many answers follow it?), and the MLP is silenced (how "
    "many answers are lost?). Deep colour: recall runs through here. ● marks what a wash edits."
)
INSIDE_PLACE = "at the {place}"
INSIDE_CSV = "Download the trace (CSV)"
INSIDE_LAYER = "layer {i}"
INSIDE_MOVED = "Put in another subject's state: answers that follow it, n = {n}"
INSIDE_LOST = "Silence the MLP: answers that are lost, n = {n}"
INSIDE_WHY = "Chosen from this: {why}."
INSIDE_SETTINGS = "Washing single facts edits the MLP of {layers}; facts are looked up at the {position}."
INSIDE_NONE = "This model has not been traced: python -m unlearning trace --model NAME"


def count(n: int, one: str, many: str) -> str:
    """`1 fact`, `2 facts`."""
    return f"{n:,} {one if n == 1 else many}"


def percent(x: float | None, digits: int = 0) -> str:
    """`98 %`; a rounded value never says 100 or 0 when it is not."""
    if x is None:
        return NONE
    text = f"{100 * x:.{digits}f}"
    if (x < 1 and float(text) == 100) or (x > 0 and float(text) == 0):
        text = f"{100 * x:.{digits + 1}f}" if digits < 3 else text
    return f"{text} %"


def seconds(x: float) -> str:
    """`3 s`, `25 s`, `4 min`: as exact as a forecast is, at least a second."""
    if x < 20:
        return f"{max(1, round(x))} s"
    return f"{5 * round(x / 5)} s" if x < 100 else f"{round(x / 60):,} min"


def cost(facts: int, exact: bool, result: float, curve: float, memory: int, timed: bool = True) -> str:
    """What a wash will cost, as `law.forecast.Forecast.said` has it; without its seconds if not `timed`."""
    n = count(facts, "fact", "facts")
    return (COST if timed else COST_UNTIMED).format(
        facts=n if exact else COST_AT_MOST.format(facts=n),
        seconds=seconds(result),
        curve=seconds(curve),
        memory=size(memory),
    )


def size(memory: int) -> str:
    """Bytes as `230 MB` or `1.4 GB`: as exact as a forecast is."""
    megabytes = max(10, 10 * round(memory / 1e7))
    return f"{megabytes} MB" if megabytes < 1000 else f"{memory / 1e9:.1f} GB"


APART = re.compile(r"(?<=\d) (?=%|(?:s|min|MB|GB|million|points)\b)|(?<=\bn) (?==)|(?<=\bn =) (?=\d)")


def together(text: str) -> str:
    """The text with spaces that do not break between a number and its unit, and within `n = 320`."""
    return APART.sub("\N{NO-BREAK SPACE}", text)
