"""The errors that say what is wrong with a video, with messages for the teacher who uploaded it."""


class VideoError(Exception):
    """A video cannot be encoded. `code` is for programs. `message` tells people what is wrong and what to do."""

    code = "encoding_failed"
    message = "The video could not be encoded. Save it as MP4 (H.264) and upload that."

    def __init__(self, detail: str = "") -> None:
        """Make an error. `detail` is added to the text of the exception, which is for the log."""
        super().__init__(f"{self.message} {detail}".strip())


class EmptyFileError(VideoError):
    code = "empty_file"
    message = "The file is empty. Choose the video again."


class NotAVideoError(VideoError):
    code = "not_a_video"
    message = "This file is no video. Choose another one, for example one that was saved as MP4."


class NoVideoStreamError(VideoError):
    code = "no_video_stream"
    message = "The file has no picture, only sound. Choose a file with a video in it."


class TruncatedError(VideoError):
    code = "truncated"
    message = "The video breaks off in the middle, so it was not copied or recorded to its end. Upload the whole file."


class TooLongError(VideoError):
    code = "too_long"
    message = "The video is longer than 6 hours. Upload it in parts."


class PictureTooLargeError(VideoError):
    code = "picture_too_large"
    message = "The picture is larger than 8K. Save the video with a smaller picture and upload that."


class TooHeavyError(VideoError):
    """Encoding the video reached a limit on memory or CPU time."""

    code = "too_heavy"
    message = (
        "The video needs more memory or computing time than one video may take. Save it as MP4 (H.264) with a picture "
        "of at most 1920×1080 and upload that."
    )


class EncodingFailedError(VideoError):
    """ffmpeg could not encode the file, although it could read what the file contains."""
