"""MiniLM in numpy computes what the model's authors publish, and what a search needs."""

import math

import pytest

pytestmark = pytest.mark.nlp

# Printed by the front page of sbert.net's documentation ("Usage") for all-MiniLM-L6-v2.
PUBLISHED_SENTENCES = ("The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium.")
PUBLISHED_LIKENESS = {(0, 1): 0.6660, (0, 2): 0.1046, (1, 2): 0.1411}


def test_likenesses_are_the_published_ones(encoder):
    vectors = encoder.encode(PUBLISHED_SENTENCES)
    likeness = vectors @ vectors.T
    for (a, b), published in PUBLISHED_LIKENESS.items():
        assert likeness[a, b] == pytest.approx(published, abs=0.00006)


def test_a_vector_has_384_numbers_and_length_1(encoder):
    vectors = encoder.encode(["A single word", "", "wörter außerhalb des Wortschatzes ≠ 🙂", "long " * 1000])
    assert vectors.shape == (4, 384)
    assert [math.sqrt(float(v @ v)) for v in vectors] == pytest.approx([1.0] * 4, abs=1e-5)


@pytest.mark.parametrize(
    ("sentence", "related", "unrelated"),
    [
        ("How do I reset my password?", "Steps to recover access to your account", "The recipe needs two eggs"),
        ("A physician examined the patient", "The doctor looked at the sick man", "The stock market fell sharply"),
        ("The ship sank in the storm", "A vessel went down in bad weather", "She plays the violin well"),
        ("cheap flights to Rome", "low-cost air tickets to Italy", "how to prune roses"),
    ],
)
def test_related_sentences_are_closer_than_unrelated_ones(encoder, sentence, related, unrelated):
    origin, near, far = encoder.encode([sentence, related, unrelated])
    assert origin @ near > origin @ far + 0.2


def test_a_text_has_one_vector_whatever_else_is_in_its_batch(encoder):
    texts = [
        "short",
        "a text of middling length about ships",
        "much longer " * 90,
        *(f"filler {n} " * 40 for n in range(30)),
    ]
    together = encoder.encode(texts)
    for place in (0, 1, 2):
        [alone] = encoder.encode([texts[place]])
        assert float(abs(together[place] - alone).max()) < 1e-5


def test_only_the_first_256_tokens_count(encoder):
    [(_, [tokens])] = encoder.batches(["word " * 1000])
    assert len(tokens) == 256


def test_nothing_in_gives_nothing_out(encoder):
    assert encoder.encode([]).shape == (0, 384)
