"""Prints a page of 30 KB for compression.ts: the list of users of Django's admin, with 55 made-up users."""
import random
import sys

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="only-for-the-benchmark",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    STATIC_URL="/static/",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
)
django.setup()

from django.contrib import admin  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402

urlpatterns = [path("admin/", admin.site.urls)]
SYLLABLES = "ka lo mi ren ta su vel dor an bri eth gu ha jo fi pe ny os qui ra".split()


def word(count):
    return "".join(random.choice(SYLLABLES) for _ in range(count))


random.seed(1)
call_command("migrate", run_syncdb=True, verbosity=0)
root = User.objects.create(username="root", is_staff=True, is_superuser=True)
User.objects.bulk_create(
    User(
        username="%s%d" % (word(3), number),
        email="%s.%s@%s.example" % (word(2), word(3), word(3)),
        first_name=word(2).title(),
        last_name=word(3).title(),
    )
    for number in range(55)
)
client = Client()
client.force_login(root)
sys.stdout.buffer.write(client.get("/admin/auth/user/").content)
