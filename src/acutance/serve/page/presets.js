// Presets set fields and nothing else. Each says in its text what it sets; the user may change every field afterwards.

const PRESETS = {
  portrait: { task: 'restore', blur: 'disc', radius: '3', strength: '80', noise: '', quality: 'balanced' },
  document: { task: 'restore', blur: 'gaussian', deviation: '1.5', strength: '100', noise: '0.5%', quality: 'best' },
  night: { task: 'restore', blur: 'find', strength: '90', noise: '', quality: 'best' },
  old: { task: 'denoise', strength: '70', noise: '' },
  microscope: { task: 'restore', blur: 'gaussian', deviation: '2', strength: '100', noise: '1%', quality: 'best' },
};

/** The fields of a preset. */
export const preset = (name) => PRESETS[name];

export const names = Object.keys(PRESETS);
