from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("lectures", "0002_enrolment_triggers")]

    operations = [
        migrations.AddField(
            model_name="lecture",
            name="video_changes",
            field=models.PositiveIntegerField(
                db_default=0,
                default=0,
                help_text="Counts the changes of the READY videos: the attempt of the lecture's record.",
            ),
        ),
        migrations.AlterField(
            model_name="lecture",
            name="active",
            field=models.BooleanField(
                default=True, help_text="An archived lecture is not active. Its students keep access."
            ),
        ),
    ]
