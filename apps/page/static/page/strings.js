// Every sentence of the page, Korean and English side by side, and the formats of numbers and times.

const KEY = "academy.language";

/** @typedef {"ko" | "en"} Language */
/** @type {{[key: string]: [ko: string, en: string]}} */
const TEXT = {
  product: ["학원 작업 현황", "Academy work"],
  views: ["화면", "Views"],
  view_now: ["작업 현황", "Now"],
  view_students: ["학생", "Students"],
  view_imports: ["명단 가져오기", "Import"],
  view_lectures: ["강의", "Lectures"],
  view_messages: ["문자", "Messages"],
  view_my: ["내 강의", "My lectures"],
  view_videos: ["동영상", "Videos"],
  view_operations: ["운영", "Operations"],
  view_people: ["사용자", "People"],
  imports_title: ["학생 명단 가져오기", "Import students"],

  now_title: ["진행 중인 작업과 최근 결과", "Running and recent work"],
  now_lead: [
    "학원의 모든 작업을 한곳에서 봅니다. 진행 상황이 실시간으로 바뀝니다.",
    "All the work of your academy in one place, live.",
  ],
  now_counts: ["진행 중 {running} · 끝남 {ended}", "{running} running · {ended} ended"],
  now_list: ["작업", "Jobs"],
  now_none: ["지금 진행 중이거나 최근에 끝난 작업이 없습니다.", "Nothing is running, and nothing has ended lately."],
  now_no_match: ["조건에 맞는 작업이 없습니다.", "No job fits these filters."],
  filters: ["작업 거르기", "Filter the jobs"],
  filter_kind: ["종류", "Kind"],
  filter_state: ["상태", "State"],
  filter_text: ["이름으로 찾기", "Find by name"],
  all_kinds: ["모든 종류", "All kinds"],
  state_all: ["모든 상태", "All states"],
  state_running: ["진행 중", "Running"],
  state_ended: ["끝남", "Ended"],
  kind_excel_parsing: ["학생 명단 가져오기", "Student import"],
  kind_student_export: ["학생 명단 내보내기", "Student export"],
  kind_bulk_message: ["문자 보내기", "Bulk message"],
  kind_video: ["동영상", "Video"],
  kind_job: ["작업", "Job"],
  waiting_turn: ["차례를 기다리는 중", "Waiting for its turn"],
  running: ["진행 중", "Running"],
  STALLED: ["멈춤", "Stalled"],
  deleted: ["삭제됨", "Deleted"],
  started_by: ["{name} 시작", "started by {name}"],
  cancel_named: ["{name} 취소", "Cancel {name}"],
  retry_named: ["{name} 다시 시도", "Try {name} again"],
  notify: ["오래 걸린 작업이 끝나면 알림 받기", "Notify me when a long job ends"],
  reconnect: ["지금 다시 연결", "Reconnect now"],

  job_title: ["작업", "Job"],
  job_missing: ["작업을 찾을 수 없습니다", "There is no such job"],
  job_missing_lead: [
    "주소가 잘못되었거나, 삭제되었거나, 다른 학원의 작업입니다.",
    "The address is wrong, or the job was deleted, or it is another academy’s.",
  ],
  job_line: ["진행 기록", "Time line"],
  job_result: ["결과", "Result"],
  all_jobs: ["← 모든 작업", "← All jobs"],
  download: ["파일 내려받기", "Download the file"],
  line_queued: ["작업 등록", "Queued"],
  line_queued_by: ["작업 등록 · {name}", "Queued by {name}"],
  line_sent: ["차례가 되어 서버로 보냄", "Its turn has come"],
  line_attempt: ["{n}번째 시도 시작", "Attempt {n} begins"],
  line_stalled: ["멈춤 · 작업하던 서버에서 응답 없음", "Stalled: its worker has gone silent"],
  line_resumed: ["다시 진행", "It goes on"],
  fact_by: ["시작한 사람", "Started by"],
  fact_began: ["등록", "Queued"],
  fact_ended: ["끝남", "Ended"],
  fact_took: ["걸린 시간", "Took"],
  fact_attempts: ["시도", "Attempts"],
  result_created: ["새로 등록", "Created"],
  result_restored: ["복원", "Restored"],
  result_existing: ["이미 있음", "Existing"],
  result_failed: ["실패", "Failed"],
  result_rows: ["학생", "Students"],
  result_sent: ["보냄", "Sent"],
  result_total: ["전체", "Total"],
  step_write: ["파일 만드는 중", "Writing the file"],
  see_recipients: ["받는 사람별 결과 보기", "Result of each recipient"],
  step_send: ["보내는 중", "Sending"],
  failed_download: ["고쳐서 다시 올릴 파일 받기", "Download them to correct"],
  failed_file: ["실패한 행", "failed rows"],
  said_ended: ["{name}: 완료했습니다.", "{name}: done."],
  said_many: ["작업 소식이 {n}건 있습니다.", "{n} jobs have news."],
  error_file_gone: ["내려받을 수 있는 기간(24시간)이 지났습니다. 다시 내보내 주십시오.", "The file is kept for 24 hours only: export it again."],
  error_job_ended: ["이미 끝난 작업입니다.", "This job has already ended."],
  error_job_not_failed: ["실패했거나 취소된 작업만 다시 시도할 수 있습니다.", "Only a failed or cancelled job is tried again."],
  error_upload_again: ["파일이 더는 보관되어 있지 않습니다. 파일을 다시 올려 주십시오.", "The file is no longer kept: upload it again."],
  error_not_found: ["찾을 수 없습니다.", "It does not exist."],
  videos_title: ["강의 동영상", "Lecture videos"],
  videos_lead: [
    "동영상을 올리면 재생할 수 있는 형식으로 변환하고, 진행 상황을 학원의 모든 화면에 실시간으로 표시합니다.",
    "Upload a video and watch it being prepared for playing, live on every screen of your academy.",
  ],
  lecture: ["강의", "Lecture"],
  video_title: ["제목", "Title"],
  video_choose: ["동영상 선택", "Choose a video"],
  video_formats: ["MP4, MOV, MKV, WebM, AVI 등", "MP4, MOV, MKV, WebM, AVI and others"],
  video_rename: ["동영상 이름 바꾸기", "Rename the video"],
  rename: ["이름 바꾸기", "Rename"],
  rename_named: ["{name} 이름 바꾸기", "Rename {name}"],
  video_broken: [
    "‘{title}’ 올리기가 끝나기 전에 화면이 닫히거나 새로 고쳐졌습니다. 같은 파일({name})을 다시 선택하면 처음부터 다시 올립니다.",
    "The upload of “{title}” was broken off when the page was closed or reloaded. Choose the same file ({name}) again, and it is uploaded from its beginning.",
  ],
  video_again: ["같은 파일 다시 선택", "Choose the same file"],
  video_broken_drop: ["올리지 않기", "Do not upload it"],
  video_other_file: ["올리던 파일이 아닙니다. ‘{name}’ 파일을 선택해 주십시오.", "This is another file. Choose “{name}”, please."],
  error_video_not_ended: ["동영상을 변환하고 있습니다. 끝난 뒤에 이름을 바꿔 주십시오.", "The video is being prepared. Rename it when that has ended."],
  video_send: ["올리기", "Upload"],
  videos: ["동영상 내역", "Videos"],
  videos_none: ["아직 올린 동영상이 없습니다.", "No videos yet."],
  unnamed_video: ["동영상", "Video"],
  READY: ["재생 가능", "Ready"],
  encoding: ["변환하는 중", "Encoding"],
  play: ["재생", "Play"],
  play_named: ["{name} 재생", "Play {name}"],
  cancel: ["취소", "Cancel"],
  retry: ["다시 시도", "Try again"],
  close: ["닫기", "Close"],
  delete: ["삭제", "Delete"],
  delete_named: ["{name} 삭제", "Delete {name}"],
  delete_video: ["‘{name}’ 동영상을 삭제할까요?", "Delete the video “{name}”?"],
  delete_video_yes: ["삭제", "Delete"],
  delete_video_lead: [
    "학원의 모든 화면에서 사라지고 되돌릴 수 없습니다. 사용하던 저장 공간은 다시 쓸 수 있습니다.",
    "It disappears from every screen of your academy, and cannot be brought back. Its storage is free again.",
  ],
  keep: ["그대로 두기", "Keep it"],
  said_deleted: ["{name}: 삭제되었습니다.", "{name}: deleted."],
  step_fetch: ["파일 가져오는 중", "Fetching the file"],
  step_probe: ["동영상 확인 중", "Looking at the video"],
  step_transcode: ["변환 중", "Encoding"],
  step_thumbnail: ["미리 보기 만드는 중", "Making the picture"],
  step_verify: ["결과 확인 중", "Checking the result"],
  step_store: ["저장 중", "Storing"],
  said_ready: ["{name}: 재생할 수 있습니다.", "{name}: ready to be played."],
  lead: [
    "엑셀 파일을 올리면 진행 상황이 학원의 모든 화면에 실시간으로 표시됩니다.",
    "Upload a workbook and watch it arrive, live on every screen of your academy.",
  ],
  watch_only: [
    "학원에서 진행 중인 가져오기를 볼 수 있습니다. 파일을 올리는 일은 원장과 직원이 합니다.",
    "You can watch the imports of your academy. Owners and staff upload the files.",
  ],
  language: ["English", "한국어"],
  sign_in: ["로그인", "Sign in"],
  sign_in_lead: ["학원 코드와 계정으로 로그인해 주십시오.", "Sign in with your academy’s code and your account."],
  sign_out: ["로그아웃", "Sign out"],
  sign_out_waiting: [
    "로그아웃 요청이 서버에 전달되지 않았습니다. 연결되면 자동으로 다시 보내니 이 화면을 닫지 마십시오.",
    "Your sign-out has not reached the server: leave this page open, and it is sent again as soon as there is a connection.",
  ],
  sign_ins: ["내 로그인", "Signed-in devices"],
  sign_ins_lead: [
    "이 계정이 로그인되어 있는 기기입니다. 모르는 기기가 있으면 로그아웃하고 비밀번호를 바꾸십시오.",
    "Where your account is signed in. If you do not know a device, sign it out and change your password.",
  ],
  this_device: ["이 기기", "This device"],
  unknown_device: ["알 수 없는 기기", "Unknown device"],
  last_used: ["마지막 사용 {time}", "Last used {time}"],
  signed_in_at: ["로그인 {time}", "Signed in {time}"],
  end_sign_in: ["로그아웃", "Sign out"],
  end_sign_in_named: ["{name} 로그아웃 (마지막 사용 {time})", "Sign out {name}, last used {time}"],
  end_other_sign_ins: ["다른 기기 모두 로그아웃", "Sign out all other devices"],
  sign_in_ended: ["{name}에서 로그아웃했습니다.", "{name} was signed out."],
  sign_ins_ended: ["다른 기기에서 모두 로그아웃했습니다.", "All other devices were signed out."],
  tenant: ["학원 코드", "Academy code"],
  username: ["사용자 이름", "User name"],
  password: ["비밀번호", "Password"],
  change_title: ["비밀번호 변경", "Change your password"],
  change_lead: [
    "처음 로그인하셨습니다. 계속하려면 새 비밀번호를 정해 주십시오.",
    "This is your first sign-in. Choose a new password to go on.",
  ],
  change_own_lead: ["다른 기기에서는 모두 로그아웃됩니다.", "All your other devices will be signed out."],
  code_hint: [
    "일회용 코드를 받으셨으면 비밀번호 대신 입력하십시오.",
    "If you were given a one-time code, type it here in place of the password.",
  ],
  choose_title: ["새 비밀번호 정하기", "Choose a password"],
  choose_lead: [
    "일회용 코드로 로그인하셨습니다. 코드는 다시 쓸 수 없으니 앞으로 쓸 비밀번호를 정해 주십시오.",
    "You have signed in with a one-time code. It works only once, so choose a password for the next time.",
  ],
  choose_password: ["정하기", "Choose it"],
  back: ["돌아가기", "Back"],
  old_password: ["현재 비밀번호", "Current password"],
  new_password: ["새 비밀번호", "New password"],
  repeat_password: ["새 비밀번호 확인", "New password again"],
  error_repeat_differs: ["새 비밀번호가 서로 다릅니다.", "The two new passwords differ."],
  change: ["변경", "Change"],
  staff_only_title: ["직원용 화면입니다", "This page is for staff"],
  staff_only: [
    "이 주소는 학원 직원이 쓰는 화면입니다. 처음 화면에서 내게 맞는 화면을 볼 수 있습니다.",
    "The academy’s staff use this address. The first page shows what is there for you.",
  ],
  to_home: ["처음 화면으로", "To the first page"],
  choose: ["파일 선택", "Choose a file"],
  drop: ["또는 파일을 여기에 끌어다 놓으십시오", "or drop one here"],
  formats: [".xlsx · .xls · .csv, 최대 20 MB", ".xlsx, .xls or .csv, up to 20 MB"],
  sample: ["샘플로 해 보기", "Try with a sample"],
  sample_hint: ["학생 2,000명의 예제 파일을 만들어 가져옵니다.", "Makes and imports an example file of 2,000 students."],
  template: ["양식 받기", "Get the template"],
  template_hint: ["채워서 올릴 수 있는 빈 엑셀 양식입니다.", "An empty workbook to fill in and upload."],
  template_file: ["학생 명단 양식.xlsx", "student list template.xlsx"],
  upload_progress: ["올린 양", "Uploaded"],
  uploading: ["{name} 올리는 중…", "Uploading {name}…"],
  making_sample: ["샘플 파일을 만드는 중…", "Making the sample…"],
  imports: ["가져오기 내역", "Imports"],
  none: ["아직 가져온 명단이 없습니다.", "No imports yet."],
  show_more: ["더 보기", "Show more"],
  live: ["실시간 연결됨", "Live"],
  connecting: ["연결 중", "Connecting"],
  delayed_server: ["지연 중 · 서버가 새 소식을 읽지 못하고 있습니다", "Delayed · the server cannot read what is new"],
  delayed_silent: ["지연 중 · 서버에서 한동안 응답이 없습니다", "Delayed · no sign of life from the server for a while"],
  polling: ["몇 초마다 확인 중 · 실시간 연결이 차단되어 있습니다", "Checking every few seconds · live connections are blocked here"],
  offline: ["연결 끊김", "Connection lost"],
  offline_no_network: ["오프라인 · 네트워크에 연결되어 있지 않습니다", "Offline · this device has no network"],
  offline_restart: ["서버를 다시 시작하고 있습니다", "The server restarts"],
  offline_unavailable: ["서버가 지금 작업 현황을 읽을 수 없습니다", "The server cannot read the work at the moment"],
  offline_blocked: ["실시간 연결이 차단됨 · 다른 방법을 시도합니다", "The live connection is blocked · another way will be tried"],
  refused: ["서버가 연결을 거절했습니다", "The server refused the connection"],
  refused_too_many_user: ["열린 창이 너무 많습니다 · 다른 창을 닫아 주십시오", "Too many windows · close some of them"],
  refused_too_many_tenant: ["학원의 연결이 너무 많습니다", "Your academy has too many connections"],
  refused_too_many_process: ["서버의 연결이 가득 찼습니다", "The server has as many connections as it takes"],
  refused_throttled: ["요청이 너무 많습니다", "Too many requests"],
  next_attempt: ["{seconds}초 후 다시 시도", "next try in {seconds} s"],
  stopped: ["연결 중지됨", "Disconnected"],
  stopped_lead: [
    "실시간 연결이 중지되었습니다. 페이지를 새로 고쳐 주십시오. (코드 {code})",
    "The live connection was stopped. Reload the page, please. (code {code})",
  ],
  unnamed: ["학생 명단", "Student list"],
  PENDING: ["대기 중", "Waiting"],
  PROCESSING: ["가져오는 중", "Importing"],
  DONE: ["완료", "Done"],
  FAILED: ["실패", "Failed"],
  CANCELLED: ["취소됨", "Cancelled"],
  stalled: ["멈춤 · 다시 시도할 예정입니다", "Stalled, will be tried again"],
  loading: ["불러오는 중…", "Loading…"],
  load_again: ["다시 불러오기", "Load again"],
  save: ["저장", "Save"],
  rows_none: ["해당하는 항목이 없습니다.", "Nothing fits."],
  rows_count: ["전체 {count}건", "{count} in all"],
  rows_range: ["전체 {count}건 중 {from}–{to}", "{from}–{to} of {count}"],
  rows_selected: ["{n}건 선택", "{n} selected"],
  rows_previous: ["이전", "Previous"],
  rows_next: ["다음", "Next"],
  rows_pages: ["쪽", "Pages"],
  select_row: ["{name} 선택", "Select {name}"],
  select_page: ["이 쪽 모두 선택", "Select all on this page"],
  attempt: ["{n}번째 시도", "Attempt {n}"],
  rows_done: ["{done} / {total}행", "{done} of {total} rows"],
  step_parse: ["파일 읽는 중", "Reading the file"],
  step_import: ["학생 등록 중", "Registering students"],
  seconds_left: ["약 {n}초 남음", "about {n} s left"],
  minutes_left: ["약 {n}분 남음", "about {n} min left"],
  progress_of: ["{name} 진행률", "Progress of {name}"],
  created: ["새로 등록", "Created"],
  restored: ["복원", "Restored"],
  existing: ["이미 있음", "Existing"],
  failed: ["실패", "Failed"],
  failed_show: ["실패한 행 {n}개 보기", "Show the failed rows ({n})"],
  failed_hide: ["실패한 행 접기", "Hide the failed rows"],
  failed_rows: ["실패한 행", "Failed rows"],
  line: ["행", "Line"],
  name: ["이름", "Name"],
  reason: ["이유", "Reason"],
  said_started: ["{name}: 시작했습니다.", "{name}: started."],
  said_stalled: ["{name}: 멈췄습니다. 다시 시도할 예정입니다.", "{name}: stalled, will be tried again."],
  said_done: [
    "{name}: 완료했습니다. 새로 등록 {created}명, 복원 {restored}명, 이미 있음 {existing}명, 실패 {failed}행.",
    "{name}: done. Created {created}, restored {restored}, existing {existing}, failed {failed}.",
  ],
  said_failed: ["{name}: 실패했습니다. {reason}", "{name}: failed. {reason}"],
  said_cancelled: ["{name}: 취소되었습니다.", "{name}: cancelled."],

  role_owner: ["원장", "Owner"],
  role_staff: ["직원", "Staff"],
  role_teacher: ["강사", "Teacher"],
  role_student: ["학생", "Student"],
  role_parent: ["학부모", "Parent"],

  error_offline: ["서버에 연결할 수 없습니다. 잠시 후 다시 시도해 주십시오.", "The server cannot be reached. Try again in a moment."],
  error_bad_credentials: ["학원 코드, 사용자 이름 또는 비밀번호가 맞지 않습니다.", "Academy code, user name or password is wrong."],
  error_code_expired: ["일회용 코드의 기한이 지났습니다. 학원에 새 코드를 요청해 주십시오.", "The one-time code has expired. Ask your academy for a new one."],
  error_session_ended: ["로그인이 끝났습니다. 다시 로그인해 주십시오.", "Your sign-in has ended. Sign in again, please."],
  error_throttled: ["시도가 너무 많았습니다. {seconds}초 후에 다시 시도해 주십시오.", "Too many tries. Try again in {seconds} s."],
  error_token_invalid: ["로그인이 만료되었습니다. 다시 로그인해 주십시오.", "Your sign-in has ended. Sign in again, please."],
  error_token_expired: ["로그인이 만료되었습니다. 다시 로그인해 주십시오.", "Your sign-in has ended. Sign in again, please."],
  error_revoked: ["다른 곳에서 로그아웃되었거나 권한이 바뀌었습니다. 다시 로그인해 주십시오.", "You were signed out elsewhere, or your rights changed. Sign in again, please."],
  error_account_closed: ["사용할 수 없는 계정입니다. 학원에 문의해 주십시오.", "This account is closed. Ask your academy, please."],
  error_wrong_password: ["현재 비밀번호가 맞지 않습니다.", "The current password is wrong."],
  error_same_password: ["새 비밀번호가 현재 비밀번호와 같거나 일회용 코드입니다. 다른 비밀번호를 정해 주십시오.", "The new password is the current one, or a one-time code. Choose another."],
  error_password_too_short: ["비밀번호가 너무 짧습니다. 나만 아는 문장처럼 {n}자 이상으로 정해 주십시오. 띄어쓰기와 한글도 쓸 수 있습니다.", "The password is too short: use at least {n} characters, for example a sentence of your own."],
  error_password_too_common: ["많은 사람이 쓰는 비밀번호입니다. 다른 비밀번호를 정해 주십시오.", "Many people use this password: choose another one."],
  error_password_too_simple: ["짐작하기 쉬운 비밀번호입니다. 반복되는 글자, 자판 순서, 흔한 낱말 대신 서로 관계없는 낱말을 이어 주십시오.", "The password is easy to guess: choose several words that do not belong together."],
  error_password_too_similar: ["이름, 사용자 이름 또는 학원 이름이 대부분인 비밀번호입니다. 본인과 관계없는 낱말로 정해 주십시오.", "Most of the password is your name or your academy's: choose other words."],
  error_account_changed: ["그 사이에 계정이 변경되었습니다. 다시 로그인해 주십시오.", "The account was changed at the same moment. Sign in again, please."],
  error_busy: ["지금 로그인하는 사람이 많습니다. 잠시 후 다시 시도해 주십시오.", "Many people are signing in. Try again in a few seconds."],
  error_role_refused: ["이 작업을 할 권한이 없습니다.", "Your role may not do this."],
  error_video_missing: ["동영상 파일을 선택해 주십시오.", "Choose a video, please."],
  error_empty_file: ["파일이 비어 있습니다. 동영상을 다시 선택해 주십시오.", "The file is empty: choose the video again."],
  error_not_a_video: ["동영상 파일이 아닙니다. MP4로 저장한 파일을 올려 주십시오.", "This is no video. Upload one that was saved as MP4."],
  error_no_video_stream: ["파일에 화면이 없습니다. 소리만 있는 파일은 올릴 수 없습니다.", "The file has no picture, only sound."],
  error_truncated: ["동영상이 중간에 끊겨 있습니다. 원본을 확인하고 다시 올려 주십시오.", "The video breaks off. Look at the original and upload it again."],
  error_too_long: ["동영상이 6시간보다 깁니다. 나누어 올려 주십시오.", "The video is longer than 6 hours. Upload it in parts."],
  error_picture_too_large: ["화면이 8K보다 큽니다. 화면 크기를 줄여 저장한 뒤 올려 주십시오.", "The picture is larger than 8K. Save the video with a smaller picture and upload that."],
  error_too_heavy: ["동영상을 처리하는 데 메모리나 시간이 너무 많이 듭니다. 1920×1080 이하의 MP4로 저장해 올려 주십시오.", "The video needs more memory or computing time than one video may take. Save it as MP4 with a picture of at most 1920×1080 and upload that."],
  error_quota_jobs: ["동시에 진행할 수 있는 작업 수를 모두 사용하고 있습니다. 진행 중인 작업이 끝나면 다시 시도해 주십시오.", "Your academy has as many unfinished jobs as it may have. Try again when some have ended."],
  error_quota_encoding: ["오늘 변환할 수 있는 동영상 시간을 초과합니다. 내일 다시 시도하거나 관리자에게 한도 조정을 요청해 주십시오.", "This is more video than your academy may still encode today. Try again tomorrow, or ask the administrator for more."],
  error_quota_storage: ["저장 공간이 부족합니다. 필요 없는 동영상을 삭제하거나 관리자에게 한도 조정을 요청해 주십시오.", "Your academy’s storage is full. Delete videos that nobody needs, or ask the administrator for more."],
  error_lesson_gone: ["동영상을 올리는 동안 수업이 삭제되었습니다. 다른 수업을 선택해 주십시오.", "The lesson was deleted while its video arrived. Choose another one."],
  error_lecture_gone: ["동영상을 올리는 동안 강의가 삭제되었습니다. 다른 강의를 선택해 주십시오.", "The lecture was deleted while its video arrived. Choose another one."],
  error_encoding_failed: ["동영상을 변환하지 못했습니다. MP4로 다시 저장해 올려 주십시오.", "The video could not be encoded. Save it as MP4 and upload that."],
  error_video_ended: ["이미 끝난 동영상입니다.", "This video has already ended."],
  error_video_not_failed: ["실패했거나 취소된 동영상만 다시 시도할 수 있습니다.", "Only a failed or cancelled video is tried again."],
  error_storage_unavailable: ["지금 파일 저장소에 연결할 수 없습니다. 잠시 후 다시 시도해 주십시오.", "The file storage cannot be reached at the moment. Try again in a few seconds."],
  error_file_missing: ["파일을 선택해 주십시오.", "Choose a file, please."],
  error_file_too_large: ["파일이 20 MB보다 큽니다.", "The file is larger than 20 MB."],
  error_file_type: [".xlsx, .xls, .csv 파일만 올릴 수 있습니다.", "Only .xlsx, .xls and .csv files can be imported."],
  error_database_unavailable: ["지금 데이터베이스에 연결할 수 없습니다. 잠시 후 다시 시도해 주십시오.", "The database cannot be reached at the moment. Try again in a few seconds."],
  error_redis_unavailable: ["지금 실시간 저장소에 연결할 수 없습니다. 잠시 후 다시 시도해 주십시오.", "The live store cannot be reached at the moment. Try again in a few seconds."],
  error_queue_unavailable: ["지금 작업 대기열에 연결할 수 없습니다. 잠시 후 다시 시도해 주십시오.", "The queue cannot be reached at the moment. Try again in a few seconds."],
  error_empty: ["파일에 학생이 한 명도 없습니다.", "The file holds no students."],
  error_damaged: ["파일이 손상되어 읽을 수 없습니다. 엑셀에서 다시 저장한 뒤 올려 주십시오.", "The file is damaged. Save it again in Excel and upload that."],
  error_password_protected: ["비밀번호가 걸린 파일입니다. 암호를 풀고 다시 올려 주십시오.", "The file is protected by a password. Remove it and upload again."],
  error_headers_missing: ["‘이름’과 ‘학부모 전화’ 열을 찾을 수 없습니다. 제목 줄을 확인해 주십시오.", "The columns ‘name’ and ‘parent phone’ were not found. Check the header row."],
  error_too_large: ["파일의 내용이 너무 큽니다.", "What the file holds is too large."],
  error_too_many_rows: ["행이 너무 많습니다. 학생을 한 번에 50,000행까지 가져올 수 있습니다. (제목 줄 제외)", "Too many rows: up to 50,000 rows of students can be imported at once, the header row not counted."],
  error_wrong_type: ["엑셀이나 CSV 파일이 아닙니다.", "This is not an Excel or CSV file."],
  error_timed_out: ["파일을 읽는 데 너무 오래 걸려 중단했습니다.", "Reading the file took too long."],
  error_lecture_missing: ["선택한 강의가 없습니다.", "The chosen lecture does not exist."],
  error_dead_letter: ["여러 번 시도했지만 끝내지 못했습니다. 관리자에게 문의해 주십시오.", "It was tried several times without success. Ask your administrator, please."],
  error_internal: ["서버에 문제가 생겼습니다. 잠시 후 다시 시도해 주십시오.", "Something went wrong on the server. Try again in a moment."],

  row_name_missing: ["이름이 없습니다.", "The name is missing."],
  row_name_too_long: ["이름이 50자를 넘습니다.", "The name is longer than 50 letters."],
  row_phone_missing: ["학부모 전화번호가 없습니다.", "The parent’s phone number is missing."],
  row_phone_invalid: ["010으로 시작하는 11자리 휴대전화 번호가 아닙니다.", "Not a mobile number of 11 digits beginning 010."],
  row_conflict: ["다른 정보와 충돌하여 등록하지 못했습니다.", "It clashes with other data and could not be registered."],
  row_internal: ["서버 문제로 등록하지 못했습니다.", "It could not be registered because of a server problem."],
};

/** Adds the sentences of a view that is loaded later. @param {{[key: string]: [ko: string, en: string]}} words */
export function addWords(words) {
  Object.assign(TEXT, words);
}

/** @type {Language} */
let language = localStorage.getItem(KEY) === "en" ? "en" : "ko";

export function currentLanguage() {
  return language;
}

/** @param {Language} next */
export function setLanguage(next) {
  language = next;
  localStorage.setItem(KEY, next);
}

/** @param {string} key @param {{[name: string]: string | number}} [values] */
export function t(key, values = {}) {
  const text = TEXT[key]?.[language === "ko" ? 0 : 1] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name] ?? "";
    return typeof value === "number" ? number(value) : value;
  });
}

/** The sentence for a state of the connection, and why it is so. @param {string} state @param {string} reason */
export function stateFor(state, reason) {
  return t(Object.hasOwn(TEXT, `${state}_${reason}`) ? `${state}_${reason}` : state);
}

/** The sentence for a code of the server, or the server's own where this page knows none.
 *  @param {"error" | "row"} kind @param {string} code @param {string} [message]
 *  @param {{[name: string]: string | number}} [values] */
export function explain(kind, code, message, values) {
  return Object.hasOwn(TEXT, `${kind}_${code}`) ? t(`${kind}_${code}`, values) : message || t(`${kind}_internal`);
}

/** The name of a step or a role; the server's own word where this page knows none.
 *  @param {"step" | "role"} kind @param {string} word */
export function wordFor(kind, word) {
  return Object.hasOwn(TEXT, `${kind}_${word}`) ? t(`${kind}_${word}`) : word;
}

/** Whether this page has a text of this name. @param {string} key */
export function known(key) {
  return Object.hasOwn(TEXT, key);
}

/** A length of time in words. @param {number} seconds */
export function duration(seconds) {
  const parts = { hour: Math.floor(seconds / 3600), minute: Math.floor((seconds % 3600) / 60), second: Math.round(seconds % 60) };
  const shown = Object.entries(parts).filter(([unit, value]) => value || (unit === "second" && seconds < 60));
  return shown.map(([unit, value]) => new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "long" }).format(value)).join(" ");
}

/** @param {number} value */
export function number(value) {
  return new Intl.NumberFormat(language).format(value);
}

/** A video's length, as players show it. @param {number} seconds */
export function length(seconds) {
  const whole = Math.round(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  const shown = parts[0] ? parts : parts.slice(1);
  return shown.map((part, index) => (index ? `${part}`.padStart(2, "0") : `${part}`)).join(":");
}

/** A time of today as a time, an older one with its day. @param {number} seconds since 1970 @param {boolean} [exact] to the second */
export function when(seconds, exact = false) {
  const date = new Date(seconds * 1000);
  const today = date.toDateString() === new Date().toDateString();
  /** @type {Intl.DateTimeFormatOptions} */
  const day = today ? {} : { month: "short", day: "numeric" };
  return new Intl.DateTimeFormat(language, { ...day, hour: "numeric", minute: "2-digit", ...(exact && { second: "2-digit" }) }).format(date);
}

/** A day with its year, and with the time unless `clock` is false. @param {string} time @param {boolean} [clock] */
export function day(time, clock = true) {
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", ...(clock && { timeStyle: "short" }) }).format(new Date(time));
}
