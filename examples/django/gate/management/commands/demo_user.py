"""manage.py demo_user: makes the user `demo`, or gives it its password back."""

import os

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Makes the user demo; its password is DJANGO_DEMO_PASSWORD, or demo."

    def handle(self, *args, **options):
        user, _ = get_user_model().objects.get_or_create(username="demo")
        user.set_password(os.environ.get("DJANGO_DEMO_PASSWORD", "demo"))
        user.save()
        self.stdout.write("the user demo is there")
