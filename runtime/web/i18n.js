// The words of the pages. A language is one table; what lacks a word falls back to English.

const WORDS = {
  en: {
    stations: "Stations", all_stations: "All stations",
    no_stations: "No station has been taught yet. Give one a name and show it some good parts.",
    new_station: "New station", teach_it: "Teach it", name_rule: "Letters, digits, _ . and -",
    inspect: "Inspect", teach: "Teach", ready: "Ready", looking: "Looking…", pass: "PASS", reject: "REJECT",
    problem: "No verdict", drop_here: "Drop, paste or choose a picture of a part",
    score: "Score", threshold: "Limit", time: "Time", score_of: "Score {score}, limit {threshold}",
    choose_picture: "Choose picture", camera_on: "Camera", camera_off: "Camera off", heatmap: "Heatmap",
    take_and_inspect: "Inspect now", no_camera: "No camera here: browsers allow it on this machine or over HTTPS only",
    camera_failed: "The camera does not open: {why}",
    recent: "Recent verdicts", no_recent: "Nothing inspected yet.",
    region: "{n}: {w} × {h} px at {x}, {y}", no_regions: "Nothing unusual found",
    about: "{good} good parts · version {version}",
    good_parts: "Good parts", good_explained: "Show pictures of good parts, taken just as the station will see them: same "
      + "camera, same place, same light. Two are enough to begin, 20 make a useful start.",
    add_good: "Add good parts", bad_parts: "Bad parts (optional)",
    bad_explained: "They are not learned from; they check that bad parts are told apart.", add_bad: "Add bad parts",
    pictures: "{n} pictures", one_picture: "1 picture", more: "+{n} more", remove: "Remove {name}",
    teach_now: "Teach this station", need: "{n} more needed", enough: "The station keeps working while it learns.",
    sending: "Sending the pictures…", stage_read: "Reading the pictures", stage_load: "Putting it into service",
    stage_other: "Learning ({stage})", learned: "Learned",
    average: "At most 1 in {n} good parts is rejected by mistake, on average ({percent}).",
    bound: "With 95 % confidence it is never more than {percent}.",
    advice_more: "Show {n} more good parts and that falls to {goal}.", warning: "Look at this: {text}",
    inspect_now: "Inspect parts now", not_taught: "This station has not been taught yet. Show it good parts.",
    token: "This server asks for its access token", token_wrong: "That token was not accepted. Try again.", ok: "OK",
    unreachable: "The server does not answer. Is it running?", only_pictures: "That is no picture.",
    maps: "Maps", map_card: "{nodes} nodes · {changes} changes", site_card: "joins {maps}",
    map_about: "{nodes} nodes · {edges} edges · {profile}",
    tool_route: "Find a way", tool_close: "Close a street", hint_start: "Press where the way begins",
    hint_goal: "Now press where it ends", hint_close: "Press a street to close it", length: "Length", others: "Others",
    changes: "Changes", no_changes: "Every street is open.", end_it: "End", do_close: "closed", do_open: "open",
    do_speed: "slow", zoom_in: "Closer", zoom_out: "Farther", whole_map: "Whole map",
    map_keys: "Map: arrows move it, + and - zoom, Enter presses its middle", partly: "Zoom in to see every street",
    shops: "Shops", shop_card: "{items} products", shop_about: "{items} products", search: "Search", search_for: "What are you looking for?",
    help_me: "Help me choose", found_for: "For “{q}”", for_you: "For you", popular: "Popular here", forget: "Forget my visit",
    kept_here: "What you look at stays in this page and is forgotten with it.", back: "Back", end_help: "Stop asking",
    question_of: "Question {n} of at most {most}", asked_enough: "{n} answers are enough", here_they_are: "These fit you best",
    fits_best: "Fits best so far", but_not: "but not: {text}", price_chip: "{least} – {most}", price_most: "up to {most}", price_least: "from {least}", cheap_chip: "rather cheap",
  },
  zh: {
    stations: "工位", all_stations: "全部工位", no_stations: "还没有示教过的工位。取个名字，给它看几件合格品即可。",
    new_station: "新建工位", teach_it: "去示教", name_rule: "可用字母、数字、_ . 和 -",
    inspect: "检测", teach: "示教", ready: "就绪", looking: "检测中…", pass: "合格", reject: "不合格",
    problem: "未判定", drop_here: "拖入、粘贴或选择一张零件图片",
    score: "得分", threshold: "界限", time: "用时", score_of: "得分 {score}，界限 {threshold}",
    choose_picture: "选择图片", camera_on: "摄像头", camera_off: "关闭摄像头", heatmap: "热图",
    take_and_inspect: "拍照检测", no_camera: "此处无法使用摄像头：浏览器只允许在本机或 HTTPS 下使用",
    camera_failed: "摄像头无法打开：{why}",
    recent: "最近的判定", no_recent: "还没有检测记录。",
    region: "{n}：{w} × {h} 像素，位于 {x}, {y}", no_regions: "未发现异常",
    about: "{good} 件合格品 · 版本 {version}",
    good_parts: "合格品", good_explained: "请给出合格品的图片，拍摄条件须与实际检测一致：同一摄像头、同一位置、同样的光线。两张即可开始，20 张效果才好。",
    add_good: "添加合格品", bad_parts: "不合格品（可选）",
    bad_explained: "不用于学习，只用来检验能否分辨出不合格品。", add_bad: "添加不合格品",
    pictures: "{n} 张图片", one_picture: "1 张图片", more: "另有 {n} 张", remove: "移除 {name}",
    teach_now: "开始示教", need: "还需 {n} 张", enough: "示教期间工位照常工作。",
    sending: "正在发送图片…", stage_read: "正在读取图片", stage_load: "正在投入使用",
    stage_other: "正在学习（{stage}）", learned: "示教完成",
    average: "平均而言，每 {n} 件合格品中最多误判 1 件（{percent}）。",
    bound: "在 95 % 置信度下，误判率不超过 {percent}。",
    advice_more: "再给出 {n} 件合格品，可降至 {goal}。", warning: "请留意：{text}",
    inspect_now: "开始检测", not_taught: "该工位尚未示教，请给它看合格品。",
    token: "此服务器需要访问令牌", token_wrong: "令牌不正确，请重试。", ok: "确定",
    unreachable: "服务器没有回应，它在运行吗？", only_pictures: "这不是图片。",
    maps: "地图", map_card: "{nodes} 个节点 · {changes} 处变更", site_card: "连接 {maps}",
    map_about: "{nodes} 个节点 · {edges} 条边 · {profile}",
    tool_route: "查找路线", tool_close: "封闭道路", hint_start: "点按起点",
    hint_goal: "再点按终点", hint_close: "点按要封闭的道路", length: "长度", others: "其他路线",
    changes: "变更", no_changes: "所有道路畅通。", end_it: "结束", do_close: "封闭", do_open: "开放",
    do_speed: "缓行", zoom_in: "放大", zoom_out: "缩小", whole_map: "全图",
    map_keys: "地图：方向键移动，+ 和 - 缩放，回车点按中心", partly: "放大可见全部道路",
    shops: "商店", shop_card: "{items} 件商品", shop_about: "{items} 件商品", search: "搜索", search_for: "您想找什么？",
    help_me: "帮我选", found_for: "“{q}”的结果", for_you: "为您推荐", popular: "本店热门", forget: "忘记这次浏览",
    kept_here: "您看过的内容只留在此页面，离开即忘。", back: "上一步", end_help: "不再提问",
    question_of: "第 {n} 问，最多 {most} 问", asked_enough: "已有 {n} 个回答，足够了", here_they_are: "这些最适合您",
    fits_best: "目前最合适", but_not: "但不是：{text}", price_chip: "{least} – {most}", price_most: "不超过 {most}", price_least: "{least} 起", cheap_chip: "价格从低",
  },
};

let language = localStorage.getItem("aisle-language") ?? (navigator.language.startsWith("zh") ? "zh" : "en");

/** The word for `key`, with {names} filled in. */
export function t(key, values = {}) {
  const text = WORDS[language][key] ?? WORDS.en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** The language that is spoken now: en or zh. */
export const current = () => language;

/** Whether the tables know `key`. */
export const knows = (key) => key in WORDS.en;

/** Fill every element that names its word, now. */
export function translate(root = document) {
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  for (const element of root.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of root.querySelectorAll("[data-t-label]")) element.setAttribute("aria-label", t(element.dataset.tLabel));
}

/** Set an element's word and remember it for a change of language. */
export function say(element, key, values = {}) {
  if (Object.keys(values).length) delete element.dataset.t;
  else element.dataset.t = key;
  element.textContent = t(key, values);
}

/** The button that changes the language; `redraw` renews what was written by scripts. */
export function languageButton(button, redraw = () => {}) {
  const show = () => { button.textContent = language === "zh" ? "English" : "中文"; };
  button.addEventListener("click", () => {
    language = language === "zh" ? "en" : "zh";
    localStorage.setItem("aisle-language", language);
    translate(); show(); redraw();
  });
  translate(); show();
}
