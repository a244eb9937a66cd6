// The softphone: microphone and loudspeaker over WebRTC, keys and words over a data channel.
"use strict";
addEventListener("DOMContentLoaded", () => {
  const phone = document.getElementById("phone"), form = document.getElementById("case");
  if (!phone) return;
  const by = (id) => document.getElementById(`phone-${id}`), words = phone.dataset;
  const say = (text, wrong = false) => { by("state").textContent = text; by("state").className = wrong ? "error" : ""; };
  const GATHERING = 2000, HANDED = ["human_handoff", "crisis_handoff"];
  let call = null; // {id, peer, channel, stream, context}

  document.getElementById("case-lang").addEventListener("change", (e) => {
    location.search = new URLSearchParams({ call_lang: e.target.value }).toString(); // another case file, other scripts
  });

  const caseFile = () => {
    const file = {};
    for (const field of form.elements) {
      if (!field.name || field.dataset.kind === "call") continue;
      if (field.type === "checkbox") file[field.name] = field.checked;
      else if (field.dataset.kind === "list") file[field.name] = field.value.split("\n").map((line) => line.trim()).filter(Boolean);
      else if (field.type === "number") file[field.name] = Number(field.value);
      else if (field.value.trim() || field.required) file[field.name] = field.value.trim();
    }
    return file;
  };

  const post = async (path, type, body) => {
    const answer = await fetch(path, { method: "POST", headers: { "content-type": type, accept: "application/json" }, body });
    if (!answer.ok) throw new Error((await answer.json().catch(() => ({ error: answer.status }))).error);
    return answer;
  };

  const buttons = (live) => {
    by("call").disabled = live;
    by("end").disabled = by("mute").disabled = by("keys").disabled = !live;
    for (const field of form.elements) field.disabled = live && field.id !== "phone-call";
  };

  const meter = (mine) => {
    const source = mine.context.createMediaStreamSource(mine.stream), analyser = mine.context.createAnalyser();
    analyser.fftSize = 512;
    source.connect(analyser);
    const samples = new Uint8Array(analyser.fftSize);
    const draw = () => {
      if (call !== mine) return;
      analyser.getByteTimeDomainData(samples);
      by("level").value = Math.max(...samples.map((sample) => Math.abs(sample - 128))) / 128;
      setTimeout(draw, 120);
    };
    draw();
  };

  const gathered = (peer) => new Promise((done) => {
    if (peer.iceGatheringState === "complete") { done(); return; }
    const timer = setTimeout(done, GATHERING);
    peer.addEventListener("icegatheringstatechange", () => {
      if (peer.iceGatheringState === "complete") { clearTimeout(timer); done(); }
    });
  });

  const heard = (turn) => {
    const row = document.createElement("li"), who = document.createElement("strong"), text = document.createElement("p");
    row.className = `turn ${turn.who}`;
    who.textContent = words[turn.who] || turn.who;
    text.className = "said";
    text.lang = form.elements.lang.value === "zh" ? "zh-CN" : "en";
    text.textContent = turn.text;
    row.append(who, text);
    by("words").append(row);
    row.scrollIntoView({ block: "nearest" });
  };

  const told = (event) => {
    const message = JSON.parse(event.data);
    if (message.type === "turn") heard(message);
    else if (message.type === "ended") over(words.over);
  };

  const over = async (text, wrong = false) => {
    const mine = call;
    if (!mine) return;
    call = null;
    for (const track of mine.stream.getTracks()) track.stop();
    mine.peer?.close();
    mine.context?.close();
    by("far").srcObject = null;
    by("level").value = 0;
    buttons(false);
    say(text, wrong);
    if (mine.id) await outcome(mine.id, text, wrong);
  };

  const outcome = async (id, text, wrong) => {
    for (let tries = 0; tries < 60; tries += 1) {
      const answer = await fetch(`/softphone/calls/${encodeURIComponent(id)}`);
      if (!answer.ok) return;
      const found = await answer.json();
      if (!found.live) {
        const handed = HANDED.includes(found.disposition) ? ` ${words.noHuman}` : "";
        if (found.name && !call) say(`${text} ${found.name}${handed}`, wrong);
        if (found.disposition && words.calls) {
          by("after").hidden = false;
          by("after").firstElementChild.href = words.calls + encodeURIComponent(id);
        }
        return;
      }
      await new Promise((done) => setTimeout(done, 500));
    }
  };

  const begin = async () => {
    const mine = { id: "", peer: null, channel: null, stream: null, context: null };
    by("words").replaceChildren();
    by("after").hidden = by("as-if").hidden = true;
    if (!navigator.mediaDevices) { say(words.noMicrophone, true); return; }
    buttons(true);
    by("end").disabled = by("mute").disabled = by("keys").disabled = true;
    try {
      mine.stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true } });
    } catch {
      buttons(false);
      say(words.noMicrophone, true);
      return;
    }
    call = mine;
    mine.context = new AudioContext();
    meter(mine);
    try {
      say(words.preparing);
      const wanted = { lang: form.elements.lang.value, script: form.elements.script.value, case: caseFile() };
      const ready = await (await post("/softphone/calls", "application/json", JSON.stringify(wanted))).json();
      if (ready.as_if) {
        by("as-if").hidden = false;
        by("as-if").textContent = `${words.asIf} ${ready.as_if} (${ready.rule})`;
      }
      say(words.connecting);
      const peer = mine.peer = new RTCPeerConnection({ iceServers: ready.ice_servers });
      for (const track of mine.stream.getAudioTracks()) peer.addTrack(track, mine.stream);
      mine.channel = peer.createDataChannel("callgate");
      mine.channel.addEventListener("message", told);
      peer.addEventListener("track", (event) => { by("far").srcObject = event.streams[0] || new MediaStream([event.track]); });
      peer.addEventListener("connectionstatechange", () => {
        if (call !== mine) return;
        if (peer.connectionState === "connected") { buttons(true); say(words.live); }
        else if (["failed", "disconnected", "closed"].includes(peer.connectionState)) over(words.lost, true);
      });
      await peer.setLocalDescription(await peer.createOffer());
      await gathered(peer);
      const answer = await post(`/softphone/calls/${encodeURIComponent(ready.ticket)}/offer`, "application/sdp", peer.localDescription.sdp);
      mine.id = ready.call_id;
      await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
    } catch (error) {
      if (call === mine) over(`${words.failed}: ${error.message}`, true);
    }
  };

  const leave = () => {
    if (!call) return;
    if (call.channel?.readyState === "open") call.channel.send(JSON.stringify({ type: "hang-up" }));
    if (call.id) navigator.sendBeacon(`/softphone/calls/${encodeURIComponent(call.id)}/hang-up`);
  };

  form.addEventListener("submit", (e) => { e.preventDefault(); if (!call) begin(); });
  by("end").addEventListener("click", () => {
    const mine = call;
    leave();
    setTimeout(() => { if (call === mine) over(words.over); }, 1500); // where the far end does not say so itself
  });
  by("mute").addEventListener("click", () => {
    const tracks = call ? call.stream.getAudioTracks() : [], muted = tracks.some((track) => track.enabled);
    for (const track of tracks) track.enabled = !muted;
    by("mute").setAttribute("aria-pressed", String(muted));
    by("mute").textContent = muted ? words.unmute : words.mute;
  });
  by("keys").addEventListener("click", (e) => {
    const digit = e.target.closest("[data-digit]")?.dataset.digit;
    if (digit && call?.channel?.readyState === "open") call.channel.send(JSON.stringify({ type: "digit", digit }));
  });
  addEventListener("pagehide", leave);
});
