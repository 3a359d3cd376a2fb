"""Adds the columns with which relays claim rows for a short time, and set aside rows that can never be sent."""

from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    dependencies = [("realtime", "0002_revocations_index")]

    operations = [
        migrations.AlterField("outboxentry", "created_at", models.DateTimeField(db_default=Now())),
        migrations.AddField("outboxentry", "attempts", models.IntegerField(db_default=0)),
        migrations.AddField("outboxentry", "next_try_at", models.DateTimeField(null=True)),
        migrations.AddField("outboxentry", "failed_at", models.DateTimeField(null=True)),
        migrations.AddField("outboxentry", "error", models.TextField(db_default="")),
        migrations.CreateModel(
            name="RelayLease",
            fields=[
                ("name", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("holder", models.CharField(max_length=40)),
                ("held_until", models.DateTimeField()),
            ],
            options={"db_table": "realtime_relay_lease"},
        ),
    ]
