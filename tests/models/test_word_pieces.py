"""The fetched WordPiece vocabulary is that of BERT, uncased, and the tokenizer made of it knows characters."""

import hashlib

from tests.word_pieces import bert_tokenizer, bert_vocabulary, needs_bert

# Of vocab.txt as published with bert-base-uncased.
PUBLISHED = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"


@needs_bert
def test_the_vocabulary_is_the_published_one_byte_for_byte() -> None:
    text = "".join(f"{token}\n" for token in bert_vocabulary())
    assert hashlib.sha256(text.encode()).hexdigest() == PUBLISHED


@needs_bert
def test_the_tokenizer_cuts_words_and_knows_where_in_the_text_its_tokens_are() -> None:
    text = "Żubr, the skyscraper’s antidisestablishmentarianism"
    tokenizer = bert_tokenizer()
    encoded = tokenizer(text, return_offsets_mapping=True)
    tokens = tokenizer.convert_ids_to_tokens(encoded["input_ids"])
    assert (tokens[0], tokens[-1]) == ("[CLS]", "[SEP]")
    assert tokens[-9:-1] == ["anti", "##dis", "##est", "##ab", "##lish", "##ment", "##arian", "##ism"]
    pieces = [text[start:stop] for start, stop in encoded["offset_mapping"]]
    assert "".join(pieces[1:-1]) == text.replace(" ", "")
    assert pieces[-9:-1] == ["anti", "dis", "est", "ab", "lish", "ment", "arian", "ism"]
