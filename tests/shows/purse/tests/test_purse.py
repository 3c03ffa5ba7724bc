# ruff: noqa: PT009, PT027 - this sample is one of those that use unittest alone
import unittest

from purse.ledger import Ledger
from purse.money import parse, share, show


class Money(unittest.TestCase):
    def test_a_text_becomes_cents_and_back(self):
        for text in ("0.00", "12.50", "-3.07"):
            self.assertEqual(show(parse(text)), text)

    def test_a_share_is_an_equal_part(self):
        self.assertEqual(share(900, 3), 300)


class Books(unittest.TestCase):
    def test_who_paid_for_all_is_owed_the_rest(self):
        ledger = Ledger(["Ann", "Bo", "Cy"])
        ledger.pay("Bo", 900)
        self.assertEqual([ledger.balance(p) for p in ledger.people], [-300, 600, -300])

    def test_a_stranger_cannot_pay(self):
        with self.assertRaises(KeyError):
            Ledger(["Ann"]).pay("Zed", 1)


if __name__ == "__main__":
    unittest.main()
