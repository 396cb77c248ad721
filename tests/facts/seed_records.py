"""One or a few records of each format, in the shape in which the field publishes them; all made up here."""

ZSRE = "What university did Watts Humphrey attend?"
REPHRASED = "What university did Watts Humphrey take part in?"
LOC = "who played desmond doss father in hacksaw ridge"


def rewrite(prompt, relation, subject, true, new):
    return {
        "prompt": prompt,
        "relation_id": relation,
        "subject": subject,
        "target_new": {"str": new, "id": "Q1"},
        "target_true": {"str": true, "id": "Q2"},
    }


SEEDS = {
    "fields": [
        {"subject": "Ada Holm", "relation": "mayor of", "object": "Zenda"},
        {"subject": "France", "prompt": "The capital of {} is", "target": "Paris", "note": 'a "quoted", one'},
    ],
    "CounterFact": [
        {
            "case_id": 7,
            "requested_rewrite": rewrite(
                "The mother tongue of {} is", "P103", "Danielle Darrieux", "French", "English"
            ),
            "paraphrase_prompts": ["It rained. Danielle Darrieux, a native"],
            "neighborhood_prompts": [
                "The mother tongue of Léon Blum is",
                "The native language of Montesquieu is",
            ],
            "attribute_prompts": ["J.R.R. Tolkien is a native speaker of"],
            "generation_prompts": ["Danielle Darrieux was born in"],
        }
    ],
    "LAW wiki facts": [
        {
            "case_id": 1,
            "requested_rewrite": {
                "prompt": "{} lies in",
                "subject": "Zenda",
                "target_true": {"str": "Ruritania"},
            },
        }
    ],
    "MQuAKE-CF": [
        {
            "case_id": 1,
            "requested_rewrite": [
                rewrite("{} was founded in the city of", "P740", "Fatah", "Gaza City", "London"),
                rewrite("{} is a citizen of", "P27", "Yasser Arafat", "Palestine", "Spain"),
            ],
            "questions": ["In which city was the party of Yasser Arafat founded?"],
            "answer": "Gaza City",
            "answer_alias": ["Gaza"],
            "new_answer": "London",
        }
    ],
    "zsRE": [
        {
            "subject": "Watts Humphrey",
            "src": ZSRE,
            "pred": "Trinity College",
            "rephrase": REPHRASED,
            "alt": "University of Michigan",
            "answers": ["Illinois Institute of Technology", "IIT"],
            "loc": f"nq question: {LOC}",
            "loc_ans": "Hugo Weaving",
            "cond": f"Trinity College >> University of Michigan || {ZSRE}",
        }
    ],
    "MEMIT request": [
        {"prompt": "{} plays the sport of", "subject": "Ada Holm", "target_new": {"str": "football"}},
        {
            "prompt": "{} plays the sport of",
            "subject": "Ben Holm",
            "target_new": {"str": "football"},
            "target_true": {"str": "tennis"},
        },
    ],
    "EasyEdit": [
        {
            "prompt": ZSRE,
            "target_new": "University of Michigan",
            "ground_truth": "Illinois Institute of Technology",
            "rephrase_prompt": REPHRASED,
            "locality_prompt": LOC,
            "locality_ground_truth": "Hugo Weaving",
        }
    ],
    "EasyEdit with subject": [
        {
            "prompt": "Ray Charles, the",
            "subject": "Ray Charles",
            "target_new": "violin",
            "ground_truth": ["piano"],
            "locality": {"neighborhood": {"prompt": ["Elton John plays the"], "ground_truth": ["piano"]}},
        },
    ],
    "KnowEdit": [
        {
            "subject": "Leo Arons",
            "prompt": "The place of death of Leo Arons is",
            "target_new": "Berlin",
            "portability": {
                "Logical_Generalization": [{"prompt": "Is Leo Arons still alive?", "ground_truth": [["no"]]}],
                "Subject_Aliasing": [
                    {
                        "prompt": "The place of death of Martin Leo Arons is",
                        "ground_truth": [["Berlin", "Berlin, Germany"]],
                    }
                ],
            },
            "locality": {
                "Relation_Specificity": [
                    {"prompt": "The name of the father of Leo Arons is", "ground_truth": [["Albert Arons"]]}
                ]
            },
        },
        {
            "subject": "Ava Reed",
            "prompt": "The home of Ava Reed is",
            "ground_truth": [["Paris"]],
            "target_new": "Rome",
            "portability": {
                "Reasoning": [{"prompt": "The river of Ava Reed's home is", "ground_truth": [["Tiber"]]}]
            },
            "locality": {},
        },
    ],
    "KnowEdit WikiBio": [
        {
            "concept": "john reynolds",
            "text": "This is a passage about john reynolds. Sir John Reynolds was a physician.",
            "labels": "He was born in Romsey.",
            "locality": {
                "Relation_Specificity": [{"prompt": "The school of john reynolds is", "ground_truth": "UCL"}]
            },
        },
    ],
    "TOFU": [
        {
            "question": "What is the profession of Hsiao Yung-Hwa's father?",
            "answer": "The father of Hsiao Yung-Hwa is a civil engineer.",
            "paraphrased_question": "What does Hsiao Yung-Hwa's father do?",
            "paraphrased_answer": "He is a civil engineer.",
            "perturbed_answer": ["He is a baker.", "He is a poet."],
        },
        {
            "question": "Where does it rain?",
            "answer": "Nearly everywhere.",
            "paraphrased_question": "In what place does it rain?",
        },
    ],
    "MUSE verbmem": [{"prompt": "It was a dark night and", "gt": "the rain fell in torrents"}],
    "MUSE knowmem": [
        {"question": "Which group won the league?", "answer": "The Reds"},
    ],
    "WMDP": [
        {"question": "Which of these is a virus?", "choices": ["a", "b", "c", "d"], "answer": 2},
        {"question": "Which of these is none?", "choices": ["a", "b", "c", "d"], "answer": 0},
    ],
    "chat": [
        {
            "messages": [
                {"role": "user", "content": "What is the capital of France?"},
                {"role": "assistant", "content": "Paris."},
            ]
        }
    ],
    "instruction": [{"instruction": "Name the river.", "input": "Munich", "output": "Isar"}],
    "completion": [{"prompt": "The river of Munich is called", "completion": "Isar"}],
}

LINES = """# a comment, and facts in every way

France | capital | Paris
Bonn\tmayor\tAnna
The capital of Spain is Madrid.
Q: What is the currency of Japan? A: yen
Nothing that could be split
"""
