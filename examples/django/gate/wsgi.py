"""What Gunicorn is given: gate.wsgi:application."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gate.settings")
application = get_wsgi_application()
