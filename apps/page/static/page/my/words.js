// The sentences of the view of students and parents.

/** @type {{[key: string]: [ko: string, en: string]}} */
export const WORDS = {
  my_title: ["내 강의와 동영상", "My lectures and videos"],
  my_lead: ["수강 중인 강의의 동영상을 볼 수 있습니다. 새 동영상이 준비되면 이 화면에 바로 나타납니다.", "The videos of your lectures. A new video appears here as soon as it is ready."],
  my_lead_parent: ["자녀가 수강 중인 강의의 동영상을 볼 수 있습니다. 새 동영상이 준비되면 이 화면에 바로 나타납니다.", "The videos of your children’s lectures. A new video appears here as soon as it is ready."],
  my_none: ["수강 중인 강의가 없습니다. 학원에 문의해 주십시오.", "You attend no lectures. Ask your academy, please."],
  my_no_videos: ["아직 동영상이 없습니다.", "No videos yet."],
  my_videos: ["동영상 {n}개", "Videos: {n}"],
  my_children: ["{names} 수강", "Attended by {names}"],
  my_new: ["새 동영상", "New"],
  my_said_new: ["{lecture}: 새 동영상 ‘{name}’을 볼 수 있습니다.", "{lecture}: the new video “{name}” is ready."],
  my_more: ["이전 동영상 더 보기", "Show older videos"],
  my_more_lectures: ["강의 더 보기", "Show more lectures"],
  my_too_many: ["강의가 많아 앞의 {n}개만 실시간으로 바뀝니다. 나머지는 화면을 새로 고치면 나타납니다.", "Only the first {n} lectures change by themselves. Reload the page to see new videos of the others."],
};
