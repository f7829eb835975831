"""A small WordPiece tokenizer, for the encoders of encoder.py and recformer_encoder.py."""

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [chr(97 + i) for i in range(26)] + ["##s", "##ing", "un", "##do", "red", "blue"]


def tokenizer():
    special = lambda i: {"id": WORDS[i], "ids": [i], "tokens": [WORDS[i]]}
    piece = lambda i: {"SpecialToken": {"id": WORDS[i], "type_id": 0}}
    return {"version": "1.0", "truncation": None, "padding": None,
            "added_tokens": [{"id": i, "content": WORDS[i], "single_word": False, "lstrip": False, "rstrip": False,
                              "normalized": False, "special": True} for i in range(5)],
            "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                           "strip_accents": None, "lowercase": True},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {"type": "TemplateProcessing", "single": [piece(2), {"Sequence": {"id": "A", "type_id": 0}}, piece(3)],
                               "pair": [piece(2), {"Sequence": {"id": "A", "type_id": 0}}, piece(3),
                                        {"Sequence": {"id": "B", "type_id": 1}}, piece(3)],
                               "special_tokens": {WORDS[2]: special(2), WORDS[3]: special(3)}},
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                      "max_input_chars_per_word": 100, "vocab": {w: i for i, w in enumerate(WORDS)}}}
