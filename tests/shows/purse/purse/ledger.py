"""Who paid what, and who owes whom."""

from collections import defaultdict

from purse.money import share


class Ledger:
    """The payments of a group."""

    def __init__(self, people):
        self.people = sorted(people)
        self.paid = defaultdict(int)

    def pay(self, person, cents):
        """Note that a person paid for all."""
        if person not in self.people:
            raise KeyError(person)
        self.paid[person] += cents

    def balance(self, person):
        """What a person paid beyond an equal part."""
        return self.paid[person] - share(sum(self.paid.values()), len(self.people))
