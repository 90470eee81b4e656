import unittest
from datetime import UTC, datetime

from shop import orders, reports, sessions


class ShopTest(unittest.TestCase):
    def test_an_order_has_an_age(self):
        self.assertLess(orders.age_seconds(orders.order("lamp")), 60)

    def test_a_report_begins_with_its_day(self):
        self.assertRegex(reports.first_line("Sales"), r"^Sales, \d{4}-\d\d-\d\d$")
        self.assertEqual(reports.day("2026-03-01"), datetime(2026, 3, 1, tzinfo=UTC))

    def test_a_session_ends(self):
        self.assertFalse(sessions.is_over(sessions.new_session("ada")))
        self.assertTrue(sessions.is_over(sessions.new_session("ada", minutes=-1)))
