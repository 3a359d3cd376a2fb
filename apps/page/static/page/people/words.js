// The sentences of the view "people", Korean and English side by side.

import { addWords } from "../strings.js";

/** @type {{[key: string]: [ko: string, en: string]}} */
const WORDS = {
  people_title: ["사용자 관리", "People"],
  people_lead: [
    "학원 계정을 추가하고, 일회용 코드를 발급하고, 떠난 사람의 계정을 닫습니다.",
    "Add the accounts of your academy, issue one-time codes, and close the accounts of those who left.",
  ],
  people_list: ["계정", "Accounts"],
  people_none: ["아직 계정이 없습니다.", "No accounts yet."],
  people_filters: ["계정 거르기", "Filter the accounts"],
  people_search: ["이름으로 찾기", "Find by name"],
  people_role: ["역할", "Role"],
  people_every_role: ["모든 역할", "All roles"],
  people_state: ["상태", "State"],
  people_every_state: ["모든 상태", "All states"],
  people_active: ["사용 중", "Open"],
  people_inactive: ["닫힘", "Closed"],
  people_no_password: ["비밀번호 없음", "No password yet"],
  people_code_valid: ["코드 발급됨", "Code issued"],
  people_name: ["이름", "Name"],
  people_username: ["사용자 이름", "User name"],
  people_last_used: ["마지막 사용", "Last used"],
  people_unknown: ["기록 없음", "Not known"],
  people_yourself: ["나", "You"],

  people_add: ["계정 추가", "Add an account"],
  people_add_send: ["추가", "Add"],
  people_username_hint: [
    "로그인할 때 쓰는 이름입니다. 영어 소문자, 숫자, . _ @ - 만 쓸 수 있고 나중에 바꿀 수 없습니다.",
    "The name to sign in with: small letters, digits and . _ @ -. It cannot be changed later.",
  ],
  people_role_hint: [
    "학생 계정은 학생 명단에 학생을 추가하면 만들어집니다.",
    "A student’s account is made when the student is added to the students.",
  ],
  people_phone: ["학부모 전화번호 (학부모 계정만)", "Parent’s phone (for a parent’s account)"],
  people_phone_hint: [
    "학생 명단에 있는 학부모 번호를 쓰면 자녀의 동영상을 볼 수 있습니다.",
    "With the number in the students’ records, the parent sees the children’s videos.",
  ],
  people_added: [
    "계정을 추가했습니다. 일회용 코드를 발급해 본인에게 알려 주십시오.",
    "The account was added. Issue a one-time code and tell it to the person.",
  ],

  people_up: ["← 모든 계정", "← All accounts"],
  people_missing: ["계정을 찾을 수 없습니다", "There is no such account"],
  people_missing_lead: ["주소가 잘못되었거나 다른 학원의 계정입니다.", "The address is wrong, or the account is another academy’s."],
  people_fact_password: ["비밀번호", "Password"],
  people_has_password: ["정했음", "Chosen"],
  people_has_none: ["아직 없음", "None yet"],
  people_fact_code: ["일회용 코드", "One-time code"],
  people_code_until: ["{time}까지 유효", "valid until {time}"],
  people_code_none: ["없음", "None"],
  people_fact_since: ["등록", "Added"],
  people_change: ["이름·역할 바꾸기", "Change name or role"],
  people_rename: ["이름 바꾸기", "Change the name"],
  people_changed: ["저장했습니다.", "Saved."],
  people_role_changed: [
    "저장했습니다. {name} 님의 화면에 새 권한이 바로 적용됩니다.",
    "Saved. {name}’s screens have the new rights at once.",
  ],
  people_own_lead: [
    "내 계정입니다. 비밀번호와 로그인한 기기는 위의 ‘내 로그인’에서 관리합니다. 내 역할은 스스로 바꿀 수 없습니다.",
    "This is your account. Your password and devices are under “Signed-in devices” above. Nobody changes their own role.",
  ],
  people_office_lead: ["원장과 직원의 계정은 원장만 관리할 수 있습니다.", "Only owners manage the accounts of owners and staff."],
  people_student_lead: ["이름과 학부모는 학생 명단에서 바꿉니다.", "The name and the parent are changed in the list of students."],

  people_code: ["일회용 코드 발급", "Issue a one-time code"],
  people_code_again: ["{name} 님에게 새 코드를 발급할까요?", "Issue a new code for {name}?"],
  people_code_again_lead: ["먼저 발급한 코드는 더 이상 쓸 수 없습니다.", "The code that was issued before will no longer work."],
  people_code_again_yes: ["새 코드 발급", "Issue a new code"],
  people_code_title: ["{name} 님의 일회용 코드", "One-time code for {name}"],
  people_code_lead: [
    "본인에게 바로 알려 주십시오. 이 창을 닫으면 다시 볼 수 없습니다.",
    "Tell it to the person now. It cannot be shown again when this window is closed.",
  ],
  people_code_label: ["코드", "Code"],
  people_code_how: [
    "로그인 화면에서 비밀번호 대신 입력하면 한 번 로그인되고, 새 비밀번호를 정하게 됩니다.",
    "Typed in place of the password, it signs in once. Then the person chooses a password.",
  ],
  people_code_expires: ["{time}까지 쓸 수 있습니다.", "It works until {time}."],
  people_code_replaces: [
    "코드로 로그인하면 지금 비밀번호는 없어지고, 로그인한 다른 기기는 모두 로그아웃됩니다.",
    "Signing in with the code takes the present password away, and signs out all other devices.",
  ],
  people_copy: ["코드 복사", "Copy the code"],
  people_copied: ["코드를 복사했습니다.", "The code was copied."],
  people_not_copied: ["복사하지 못했습니다. 선택된 코드를 직접 복사하십시오.", "It could not be copied. The code is selected: copy it yourself."],
  people_code_issued: ["일회용 코드를 발급했습니다.", "A one-time code was issued."],

  people_close: ["계정 닫기", "Close the account"],
  people_close_ask: ["{name} 님의 계정을 닫을까요?", "Close the account of {name}?"],
  people_close_ask_lead: [
    "모든 기기에서 바로 로그아웃되고 다시 로그인할 수 없습니다. 기록은 남으며, 나중에 다시 열 수 있습니다.",
    "It is signed out on all devices at once and cannot sign in. Its records stay, and it can be opened again.",
  ],
  people_close_ask_yes: ["계정 닫기", "Close the account"],
  people_closed: ["계정을 닫고 모든 기기에서 로그아웃했습니다.", "The account was closed, and signed out on all devices."],
  people_reopen: ["계정 다시 열기", "Open the account again"],
  people_reopened: ["계정을 다시 열었습니다. 이전 비밀번호로 로그인할 수 있습니다.", "The account is open again, with its old password."],

  people_devices: ["로그인한 기기", "Signed-in devices"],
  people_devices_none: ["지금 로그인한 기기가 없습니다.", "It is signed in nowhere."],
  people_device_ended: ["{name}에서 로그아웃했습니다.", "{name} was signed out."],
  people_end_all: ["모든 기기에서 로그아웃", "Sign out all devices"],
  people_end_ask: ["{name} 님을 모든 기기에서 로그아웃할까요?", "Sign out {name} on all devices?"],
  people_end_ask_lead: ["본인은 비밀번호로 다시 로그인할 수 있습니다.", "The person can sign in again with the password."],
  people_end_ask_yes: ["모두 로그아웃", "Sign out all"],
  people_all_ended: ["모든 기기에서 로그아웃했습니다.", "All devices were signed out."],

  error_people_name: ["이름을 입력해 주십시오.", "Write a name."],
  error_people_username: ["영어 소문자나 숫자로 시작하고, 영어 소문자, 숫자, . _ @ - 만 써 주십시오.", "Begin with a small letter or digit, and use only small letters, digits and . _ @ -."],
  error_people_phone: ["010-1234-5678처럼 휴대전화 번호를 써 주십시오.", "Write a mobile number such as 010-1234-5678."],
  error_people_phone_role: ["학부모 계정에만 쓸 수 있습니다. 지우거나 역할을 학부모로 바꾸십시오.", "Only a parent’s account has a phone number here. Remove it, or choose the role of a parent."],
  error_username_taken: ["이미 있는 사용자 이름입니다. 다른 이름을 써 주십시오.", "Another account has this user name. Choose another one."],
  error_parent_missing: ["이 번호의 학부모가 학생 명단에 없거나, 이미 계정이 있습니다.", "No student has a parent with this number, or the parent has an account already."],
  error_own_account: ["내 계정에는 할 수 없습니다. 다른 원장에게 부탁하십시오.", "This is not possible for your own account. Ask another owner."],
  error_account_inactive: ["닫힌 계정입니다. 먼저 계정을 다시 여십시오.", "The account is closed. Open it first."],
  error_student_account: ["학생의 계정입니다. 학생 명단에서 바꾸십시오.", "This is the account of a student. Change the student instead."],
  error_student_removed: ["삭제된 학생입니다. 학생 명단에서 학생을 복원하십시오.", "The student was removed. Restore the student instead."],
};

addWords(WORDS);
