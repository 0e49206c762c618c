"""
Settings of the example project, as a project behind Paddock has them. Each may be set by environment:

DJANGO_SECRET_KEY            default: a key that is good for nothing but the demo
DJANGO_DEBUG                 1 turns it on
DJANGO_ALLOWED_HOSTS         default: localhost,127.0.0.1
DJANGO_CSRF_TRUSTED_ORIGINS  for example https://localhost:8443
DJANGO_SECURE_SSL_REDIRECT   1 makes Django redirect http to https, too
DJANGO_DATABASE              path of the SQLite file, default: db.sqlite3 next to manage.py
DJANGO_STATIC_ROOT           where collectstatic writes and Paddock reads, default: static next to manage.py
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

import django

BASE_DIR = Path(__file__).resolve().parent.parent


def _list(name, default=""):
    return [part.strip() for part in os.environ.get(name, default).split(",") if part.strip()]


def _flag(name):
    return os.environ.get(name, "") in ("1", "true", "yes", "on")


SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY", "for the demo only; a real project keeps its key to itself")
DEBUG = _flag("DJANGO_DEBUG")
ALLOWED_HOSTS = _list("DJANGO_ALLOWED_HOSTS", "localhost,127.0.0.1")

# The gate ends TLS, and says so in this field. It drops the client's own copy, so the field can be believed.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = _flag("DJANGO_SECURE_SSL_REDIRECT")
SESSION_COOKIE_SECURE = not DEBUG
CSRF_COOKIE_SECURE = not DEBUG
CSRF_TRUSTED_ORIGINS = _list("DJANGO_CSRF_TRUSTED_ORIGINS")
if django.VERSION < (4, 0):
    # Up to 3.2 the setting holds hosts and not origins.
    CSRF_TRUSTED_ORIGINS = [urlsplit(origin).netloc or origin for origin in CSRF_TRUSTED_ORIGINS]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "gate",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "gate.urls"
WSGI_APPLICATION = "gate.wsgi.application"
TEMPLATES = [
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
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DJANGO_DATABASE", str(BASE_DIR / "db.sqlite3")),
        "OPTIONS": {"timeout": 20},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "account"
LOGOUT_REDIRECT_URL = "home"

STATIC_URL = "/static/"
STATIC_ROOT = os.environ.get("DJANGO_STATIC_ROOT", str(BASE_DIR / "static"))
# Names with a hash of the content: Paddock lets browsers keep those for a year.
_MANIFEST_STORAGE = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
if django.VERSION >= (4, 2):
    STORAGES = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": _MANIFEST_STORAGE},
    }
else:
    STATICFILES_STORAGE = _MANIFEST_STORAGE

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True

# To standard error, where Gunicorn's own lines are; Django would mail its errors to nobody.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"django": {"handlers": ["console"], "level": "WARNING", "propagate": False}},
}
